/**
 * Mounts whose files belong to the ids of a user namespace (mount_setattr(2), Linux 5.12), for OCI runtimes that make none. A container
 * binds them from a path of the node, so they are in the node's own mount namespace.
 */
import { fstatSync, writeFileSync } from 'node:fs';
import { makeDirectorySync } from '../lib/directories.ts';
import { isErrno } from '../lib/errors.ts';
import {
  close,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_SLAVE,
  MS_UNBINDABLE,
  mount,
  mountSetattr,
  moveMount,
  openDescriptor,
  openTree,
} from './libc.ts';

/**
 * Makes a directory for mounts that stay out of all others: they neither propagate from there nor come along when a directory
 * above is bound. Otherwise each copy of `/` for a container would have all earlier ones below it. To unmount it is to unmount them.
 */
export function mountArea(directory: string): void {
  makeDirectorySync(directory, 0o700);
  mount('berth', directory, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=700,size=64k');
  mount('none', directory, null, MS_UNBINDABLE, null);
}

export interface IdmappedMount {
  /** A directory or a file, without symlinks. */
  readonly source: string;
  /** Absent, in a directory of mountArea(). */
  readonly target: string;
}

/**
 * Mounts the source with all that is mounted below it. If something below is on a file system that cannot be mapped, all below keeps its
 * owners, whom the container does not know. Throws a SyscallError, EINVAL when the source itself cannot be mapped.
 */
export function mountIdmapped({ source, target }: IdmappedMount, userNamespace: string): void {
  const opened: number[] = [];
  const open = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const tree = open(openTree(source));
    // What is mounted and unmounted at the source is so here, and never the other way round.
    mountSetattr(tree, { propagation: MS_SLAVE, recursive: true });
    mapIds(tree, open(openDescriptor(userNamespace)));
    if (fstatSync(tree).isDirectory()) makeDirectorySync(target, 0o700);
    else writeFileSync(target, '', { mode: 0o600 });
    moveMount(tree, target);
  } finally {
    for (const fd of opened) close(fd);
  }
}

function mapIds(tree: number, userNamespace: number): void {
  try {
    mountSetattr(tree, { userNamespace, recursive: true });
  } catch (error) {
    // EPERM: one that is mapped already.
    if (!isErrno(error, 'EINVAL', 'EPERM')) throw error;
    mountSetattr(tree, { userNamespace, recursive: false });
  }
}
