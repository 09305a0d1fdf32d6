/** Mounting images for containers to see: in the mount namespace of Berth, where OCI runtimes find them. */
import { constants, existsSync, readlinkSync, rmSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { SyscallError } from '../../kernel/errno.ts';
import { openInRoot } from '../../kernel/in-root.ts';
import { close } from '../../kernel/libc.ts';
import { type FilesystemMount, mountFilesystem } from '../../kernel/mount-filesystem.ts';
import { unmountAll } from '../../kernel/mounts.ts';
import type { Job } from '../../kernel/threads/job.ts';
import { makeDirectorySync } from '../../lib/directories.ts';
import { BerthError, isErrno } from '../../lib/errors.ts';

export interface ImageVolumeMount {
  readonly mounts: readonly FilesystemMount[];
  readonly directory: string;
  /** In the image; '' for all of it. */
  readonly subPath: string;
}

/** Returns where on the host the container's mount is to start. */
function mountImageVolume(arg: unknown): string {
  const { mounts, directory, subPath } = arg as ImageVolumeMount;
  try {
    makeDirectorySync(directory, 0o711);
    for (const mount of mounts) mountFilesystem(mount, directory, { readonly: true });
    return subPath === '' ? directory : resolve(directory, subPath);
  } catch (error) {
    throw error instanceof SyscallError ? error.toBerthError('its mount') : error;
  }
}

/** The path below the mount, every symlink resolved: what is read-only does not change any more. */
function resolve(directory: string, subPath: string): string {
  try {
    const fd = openInRoot(directory, subPath, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return readlinkSync(`/proc/thread-self/fd/${fd}`);
    } finally {
      close(fd);
    }
  } catch (error) {
    const [problem] = [
      ...(isErrno(error, 'ENOENT') ? ['there is no such directory in it'] : []),
      ...(isErrno(error, 'ENOTDIR') ? ['that is not a directory'] : []),
      ...(isErrno(error, 'ELOOP') ? ['its symlinks lead nowhere'] : []),
    ];
    if (problem === undefined) throw error;
    throw new BerthError('FAILED_PRECONDITION', `image_sub_path ${JSON.stringify(subPath)}: ${problem}`);
  }
}

/** Unmounts the image volumes of a container and removes the directory that they are in. All of it may be gone already. */
function releaseImageVolumes(arg: unknown): void {
  const directories = arg as readonly string[];
  for (const directory of directories) {
    if (!existsSync(directory)) continue;
    unmountAll(directory);
    // Never its content: were it still mounted, that would be an image's.
    rmdirSync(directory);
  }
  const [first] = directories;
  if (first !== undefined) rmSync(dirname(first), { recursive: true, force: true });
}

export const jobs: Readonly<Record<string, Job>> = {
  'image-volumes.mount': mountImageVolume,
  'image-volumes.release': releaseImageVolumes,
};
