/** Mounting what containers are to see: in the mount namespace of Berth, where OCI runtimes find it. */
import { constants, readlinkSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { SyscallError } from '../../kernel/errno.ts';
import { type IdmappedMount, mountArea, mountIdmapped } from '../../kernel/idmapped-mounts.ts';
import { openInRoot } from '../../kernel/in-root.ts';
import { close } from '../../kernel/libc.ts';
import { type FilesystemMount, mountFilesystem } from '../../kernel/mount-filesystem.ts';
import { unmountAll } from '../../kernel/mounts.ts';
import type { Job } from '../../kernel/threads/job.ts';
import { type IdMaps, withUserNamespaceProcess } from '../../kernel/user-namespace.ts';
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

export interface MappedHostPath extends IdmappedMount {
  /** The first one of its container: the area that they are in is yet to be made. */
  readonly isFirst: boolean;
  /** A pinned user namespace, or the maps of one that is made for this mount. */
  readonly ids: string | IdMaps;
}

/** What the kernel says where it, or the file system, cannot map ids. */
const CANNOT_MAP = ['EINVAL', 'ENOSYS', 'EPERM', 'EOPNOTSUPP'];

function mountHostPath(arg: unknown): void {
  const { isFirst, ids, ...mount } = arg as MappedHostPath;
  const area = dirname(mount.target);
  try {
    if (isFirst) {
      makeDirectorySync(dirname(area), 0o711);
      mountArea(area);
    }
    if (typeof ids === 'string') mountIdmapped(mount, ids);
    else withUserNamespaceProcess(ids, (pid) => mountIdmapped(mount, `/proc/${pid}/ns/user`));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (!CANNOT_MAP.includes(error.code)) throw error.toBerthError('its mount');
    throw new BerthError('FAILED_PRECONDITION', error.message, { cause: error });
  }
}

/** Unmounts what is mounted at directories, and removes them. All of it may be gone already. */
function release(arg: unknown): void {
  for (const directory of arg as readonly string[]) {
    unmountAll(directory);
    try {
      // Never its content: were it still mounted, that would be an image's or a volume's.
      rmdirSync(directory);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

export const jobs: Readonly<Record<string, Job>> = {
  'mounts.image': mountImageVolume,
  'mounts.host-path': mountHostPath,
  'mounts.release': release,
};
