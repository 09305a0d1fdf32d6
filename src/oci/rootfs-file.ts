import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { SyscallError } from '../kernel/errno.ts';
import { close, openat2, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from '../kernel/libc.ts';
import { BerthError, isErrno } from '../lib/errors.ts';

// Those that node:fs does not list; asm-generic/fcntl.h, the same on all architectures that we run on.
const O_CLOEXEC = 0o2000000;

/**
 * Reads a file below a root directory; no symlink on the way leads out of it. Undefined when there is none. Throws
 * FAILED_PRECONDITION for what is no regular file or has more than `most` bytes: an image must not make us wait or grow.
 *
 * Blocks, so that it can run on the thread that has the root file system mounted.
 */
export function readInRoot(root: string, path: string, most: number): string | undefined {
  const fd = openInRoot(root, path);
  if (fd === undefined) return undefined;
  try {
    const stat = fstatSync(fd);
    const problem = stat.isFile()
      ? stat.size > most
        ? `is larger than ${most} bytes`
        : ''
      : 'is not a regular file';
    if (problem !== '')
      throw new BerthError('FAILED_PRECONDITION', `failed to read "${path}" of the image: it ${problem}`);
    return readFileSync(fd, 'utf8');
  } finally {
    // Not node's own: in a worker it complains of what it did not open.
    close(fd);
  }
}

function openInRoot(root: string, path: string): number | undefined {
  const directory = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return openat2(directory, path, {
      // Opening a FIFO would wait for a writer.
      flags: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | O_CLOEXEC,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error instanceof SyscallError ? error.toBerthError(`failed to open "${path}" of the image`) : error;
  } finally {
    closeSync(directory);
  }
}
