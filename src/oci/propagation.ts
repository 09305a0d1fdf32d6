import { realpath } from 'node:fs/promises';
import { listMounts, type Mount } from '../kernel/mounts.ts';
import { BerthError } from '../lib/errors.ts';

/** The mount that a path of the node lies on: of those at the longest path, the last made one hides the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const isAbove = mount.target === '/' || path === mount.target || path.startsWith(`${mount.target}/`);
    if (isAbove && mount.target.length >= (found?.target.length ?? 0)) found = mount;
  }
  return found;
}

/**
 * Checks that what is mounted below a host path can pass into the container (`rslave`), or also back (`rshared`). Throws
 * FAILED_PRECONDITION: the operator has to make the mount shared, e.g. with `mount --make-rshared /`.
 */
export async function checkPropagation(hostPath: string, wanted: 'rslave' | 'rshared'): Promise<void> {
  const path = await realpath(hostPath);
  const mount = mountOf(path, listMounts());
  const kinds = wanted === 'rshared' ? ['shared:'] : ['shared:', 'master:'];
  if (mount?.propagation.some((tag) => kinds.some((kind) => tag.startsWith(kind))) === true) return;
  const kind = wanted === 'rshared' ? 'shared' : 'shared or slave';
  throw new BerthError(
    'FAILED_PRECONDITION',
    `path "${path}" is mounted on "${mount?.target ?? '/'}" but it is not a ${kind} mount`,
  );
}
