import { constants, fstatSync, readFileSync } from 'node:fs';
import { SyscallError } from '../kernel/errno.ts';
import { openInRoot } from '../kernel/in-root.ts';
import { close } from '../kernel/libc.ts';
import { BerthError, isErrno } from '../lib/errors.ts';

/**
 * Reads a file below a root directory; no symlink on the way leads out of it. Undefined when there is none. Throws
 * FAILED_PRECONDITION for what is no regular file or has more than `most` bytes: an image must not make us wait or grow.
 *
 * Blocks, so that it can run on the thread that has the root file system mounted.
 */
export function readInRoot(root: string, path: string, most: number): string | undefined {
  const fd = openFile(root, path);
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

function openFile(root: string, path: string): number | undefined {
  try {
    // Opening a FIFO would wait for a writer.
    return openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error instanceof SyscallError ? error.toBerthError(`failed to open "${path}" of the image`) : error;
  }
}
