import { chownSync, constants, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { SyscallError } from '../../kernel/errno.ts';
import { openInRoot } from '../../kernel/in-root.ts';
import { close } from '../../kernel/libc.ts';
import { runTool } from '../../kernel/tool.ts';
import { makeDirectorySync } from '../../lib/directories.ts';
import { BerthError, isErrno, wrap } from '../../lib/errors.ts';

/** A volume that an image declares, and the directory that is to be it. */
export interface EngineVolume {
  /** In the image. */
  readonly path: string;
  /** On the host; made with its parent. */
  readonly directory: string;
}

/** Images bring databases and the like. */
const COPY_MS = 10 * 60 * 1_000;

/**
 * Makes the directory of a volume with what the image has at its path: owners, modes, times, links and attributes kept. Empty, and
 * `owner`'s, when the image has nothing there. Blocks; for the thread that has the image mounted at `root`.
 */
export function fillVolume(
  root: string,
  { path, directory }: EngineVolume,
  owner: { readonly uid: number; readonly gid: number },
): void {
  try {
    makeDirectorySync(dirname(directory), 0o700);
    const fd = openDirectory(root, path);
    if (fd === undefined) {
      mkdirSync(directory, { mode: 0o755 });
      chownSync(directory, owner.uid, owner.gid);
      return;
    }
    try {
      copyTree(`/proc/${process.pid}/fd/${fd}/.`, directory);
    } finally {
      close(fd);
    }
  } catch (error) {
    const cause = error instanceof SyscallError ? error.toBerthError('its path') : error;
    throw wrap(`failed to fill volume "${path}" of the image`, cause);
  }
}

function openDirectory(root: string, path: string): number | undefined {
  try {
    return openInRoot(root, path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (isErrno(error, 'ENOTDIR'))
      throw new BerthError('FAILED_PRECONDITION', 'it is not a directory', { cause: error });
    throw error;
  }
}

/** By cp(1), started on this thread and so in its mount namespace: it knows holes, hard links, devices and attributes. */
function copyTree(from: string, to: string): void {
  const { status, stderr } = runTool(
    'cp',
    ['--archive', '--no-target-directory', '--', from, to],
    '',
    COPY_MS,
  );
  if (status === 0) return;
  const code = /No space left on device|Disk quota exceeded/.test(stderr) ? 'RESOURCE_EXHAUSTED' : 'INTERNAL';
  throw new BerthError(code, stderr.trim().slice(0, 1_000) || `cp ended with status ${status}`);
}
