import { execFile } from 'node:child_process';
import { release } from 'node:os';
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

/** One that has not answered by then does not end. */
export const ANSWER_MS = 30_000;

/** What an OCI runtime says, or is taken to have as long as it says nothing. */
interface Answer {
  readonly features: RuntimeFeatures;
  /** It exited with an error: it does not know the command, or something else was wrong. */
  readonly isRefusal: boolean;
}

/**
 * Asks an OCI runtime with its `features` command (runc 1.1, crun 1.8.6 and later); one that does not know the command is
 * taken to have user namespaces only. Throws when it cannot be run, or does not end. Source: runtime-spec, features.md.
 */
export async function detectRuntimeFeatures(
  binary: string,
  { timeoutMs = ANSWER_MS, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<Answer> {
  try {
    const { stdout } = await promisify(execFile)(binary, ['features'], {
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      signal,
    });
    return { features: parseFeatures(binary, stdout), isRefusal: false };
  } catch (error) {
    if (isExitCode(error)) return { features: BASICS(binary), isRefusal: true };
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

/** Reads what `features` printed: what the runtime was built for, of which only that counts that the kernel can do. */
export function parseFeatures(name: string, text: string, kernel = release()): RuntimeFeatures {
  let features: unknown;
  try {
    features = JSON.parse(text);
  } catch {
    return BASICS(name);
  }
  const linux = at(features, 'linux');
  return {
    name,
    recursiveReadOnly: includes(at(features, 'mountOptions'), 'rro') && hasMountSetattr(kernel),
    idmap: at(at(at(linux, 'mountExtensions'), 'idmap'), 'enabled') === true && hasMountSetattr(kernel),
    userNamespaces: includes(at(linux, 'namespaces'), 'user'),
  };
}

/** Both are made with mount_setattr(2), which came with Linux 5.12. */
function hasMountSetattr(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((number) => parseInt(number, 10));
  return major > 5 || (major === 5 && minor >= 12);
}

function at(value: unknown, key: string): unknown {
  return isJsonObject(value) ? value[key] : undefined;
}

function includes(value: unknown, item: string): boolean {
  return Array.isArray(value) && value.includes(item);
}
