import { closeSync, constants, openSync } from 'node:fs';
import { openat2, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from './libc.ts';

// Those that node:fs does not list; asm-generic/fcntl.h, the same on all architectures that we run on.
const O_CLOEXEC = 0o2000000;

/**
 * Opens a path below a root directory: no symlink on the way leads out of it. Returns a descriptor that libc's close has to
 * close, since Node's own complains in a worker of what it did not open. Throws SyscallError.
 */
export function openInRoot(root: string, path: string, flags: number): number {
  const directory = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return openat2(directory, path, {
      flags: flags | O_CLOEXEC,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
  } finally {
    closeSync(directory);
  }
}
