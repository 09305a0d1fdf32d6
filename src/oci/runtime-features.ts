import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isJsonObject } from '../lib/json.ts';

/** What an OCI runtime can do beyond the basics. */
export interface RuntimeFeatures {
  /** How errors name it. */
  readonly name: string;
  /** Mounts that are read-only with all that is mounted below them. */
  readonly recursiveReadOnly: boolean;
  /** Mounts with ids mapped. */
  readonly idmap: boolean;
  readonly userNamespaces: boolean;
}

const TIMEOUT_MS = 5_000;

/**
 * Asks an OCI runtime with its `features` command (runc 1.1, crun 1.8.6 and later); one that does not know the command is
 * taken to have user namespaces only. Throws when it cannot be run, or does not end. Source: runtime-spec, features.md.
 */
export async function detectRuntimeFeatures(
  binary: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<RuntimeFeatures> {
  try {
    const { stdout } = await promisify(execFile)(binary, ['features'], { timeout: TIMEOUT_MS, ...options });
    return parseFeatures(binary, stdout);
  } catch (error) {
    if (isExitCode(error)) return BASICS(binary);
    throw error;
  }
}

/** Of a program that ran: else the code is an errno, or there is none. */
function isExitCode(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number';
}

const BASICS = (name: string): RuntimeFeatures => ({
  name,
  recursiveReadOnly: false,
  idmap: false,
  userNamespaces: true,
});

/** Reads what `features` printed. */
export function parseFeatures(name: string, text: string): RuntimeFeatures {
  let features: unknown;
  try {
    features = JSON.parse(text);
  } catch {
    return BASICS(name);
  }
  const linux = at(features, 'linux');
  return {
    name,
    recursiveReadOnly: includes(at(features, 'mountOptions'), 'rro'),
    idmap: at(at(at(linux, 'mountExtensions'), 'idmap'), 'enabled') === true,
    userNamespaces: includes(at(linux, 'namespaces'), 'user'),
  };
}

function at(value: unknown, key: string): unknown {
  return isJsonObject(value) ? value[key] : undefined;
}

function includes(value: unknown, item: string): boolean {
  return Array.isArray(value) && value.includes(item);
}
