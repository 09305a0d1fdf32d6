import { readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import { KUBERNETES_NAMESPACE } from './connection.ts';

const UNIX = 'unix://';

/** Where a shim listens, and which version of the task service it has. */
export interface ShimEndpoint {
  readonly path: string;
  readonly version: number;
}

/** The directory in which each task of kubelet's namespace has a bundle: a shim works in one of them. */
export function bundlesOf(shim: number): string | undefined {
  try {
    const root = dirname(readlinkSync(`/proc/${shim}/cwd`));
    return basename(root) === KUBERNETES_NAMESPACE ? root : undefined;
  } catch {
    // It has just ended.
    return undefined;
  }
}

/**
 * Where the shim of a bundle's task listens; undefined when it is gone, or speaks no ttrpc. containerd 2 notes it as JSON with the version,
 * those before as the address alone.
 */
export function endpointOf(bundle: string): ShimEndpoint | undefined {
  const noted = parsed(read(join(bundle, 'bootstrap.json')));
  const {
    address,
    version,
    protocol = 'ttrpc',
  } = noted ?? { address: read(join(bundle, 'address')).trim(), version: 2 };
  if (typeof address !== 'string' || !address.startsWith(UNIX)) return undefined;
  if (typeof version !== 'number' || protocol !== 'ttrpc') return undefined;
  return { path: address.slice(UNIX.length), version };
}

/** '' when it is absent. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
