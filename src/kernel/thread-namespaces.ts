/**
 * Namespaces of the calling thread: synchronous, since nothing may be awaited inside one (see README.md).
 */
import { closeSync, constants, openSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectorySync } from '../lib/directories.ts';
import { isErrno } from '../lib/errors.ts';
import { SyscallError } from './errno.ts';
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWUTS,
  MNT_DETACH,
  MS_BIND,
  mount,
  setns,
  UMOUNT_NOFOLLOW,
  umount2,
} from './libc.ts';
import { poisonThread } from './threads/job.ts';

/** The namespaces that one thread of a process can change alone. */
export type NamespaceKind = 'net' | 'ipc' | 'uts';

export const NAMESPACE_FLAGS: Readonly<Record<NamespaceKind, number>> = {
  net: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
};

const NSFS_MAGIC = 0x6e736673;
const PROC_MAGIC = 0x9fa0;

/** The calling thread's own namespace; /proc/self would be the main thread's. */
export function threadNamespace(kind: NamespaceKind): string {
  return `/proc/thread-self/ns/${kind}`;
}

/** What a function that must not be asynchronous may return. */
type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/**
 * Runs a function in the network namespace pinned at a path and goes back. The function must not return a Promise. Throws what
 * open(2) and setns(2) throw, and a ThreadPoisonedError when the way back failed: the thread must do no more work then.
 */
export function withNetns<T>(path: string, fn: () => Sync<T>): T {
  return withNamespaces({ net: path }, fn);
}

/** As withNetns, for several kinds of namespaces at once. */
export function withNamespaces<T>(paths: Partial<Record<NamespaceKind, string>>, fn: () => Sync<T>): T {
  using descriptors = new Descriptors();
  const moves = namespaceEntries(paths).map(([kind, path]) => ({
    kind,
    to: descriptors.open(path),
    back: descriptors.open(threadNamespace(kind)),
  }));
  const done: typeof moves = [];
  try {
    for (const move of moves) {
      setns(move.to, NAMESPACE_FLAGS[move.kind]);
      done.push(move);
    }
    const value: unknown = fn();
    if (value instanceof Promise) {
      throw new TypeError('a function that runs in a namespace must not be asynchronous');
    }
    return value as T;
  } finally {
    goBack(done);
  }
}

/** Takes the thread back to the namespaces that these descriptors hold; poisons it when one refuses. */
export function goBack(moves: readonly { readonly kind: NamespaceKind; readonly back: number }[]): void {
  for (const { kind, back } of moves) {
    try {
      setns(back, NAMESPACE_FLAGS[kind]);
    } catch (cause) {
      poisonThread(`failed to go back to the thread's own ${kind} namespace`, cause);
    }
  }
}

/** Descriptors that are closed together. */
export class Descriptors implements Disposable {
  private readonly fds: number[] = [];

  open(path: string): number {
    const fd = openSync(path, constants.O_RDONLY);
    this.fds.push(fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds.splice(0)) {
      closeSync(fd);
    }
  }
}

/** The kinds that are given, with their paths. */
export function namespaceEntries(
  paths: Partial<Record<NamespaceKind, string>>,
): (readonly [NamespaceKind, string])[] {
  return (['net', 'ipc', 'uts'] as const).flatMap((kind) => {
    const path = paths[kind];
    return path === undefined ? [] : [[kind, path] as const];
  });
}

/** True when a namespace is at this path: pinned there, or below /proc. False when the path is absent or anything else. */
export function isNamespace(path: string): boolean {
  try {
    const { type } = statfsSync(path);
    return type === NSFS_MAGIC || (type === PROC_MAGIC && path.startsWith('/proc/'));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
      return false;
    }
    throw error;
  }
}

/** The inode number that identifies a namespace for as long as it lives. */
export function namespaceInode(path: string): number {
  return statSync(path).ino;
}

/**
 * Keeps the namespace at `source`, below /proc/<pid>/ns or a descriptor's path, alive by a bind mount on a new, empty file
 * (directories are made as needed). Throws EEXIST when the file is there already.
 */
export function pinNamespace(source: string, path: string): void {
  const create = (): void =>
    closeSync(openSync(path, constants.O_RDONLY | constants.O_CREAT | constants.O_EXCL, 0o444));
  try {
    create();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    makeDirectorySync(dirname(path), 0o755);
    create();
  }
  try {
    mount(source, path, 'none', MS_BIND, null);
  } catch (error) {
    rmSync(path);
    throw error;
  }
}

/**
 * Lets a pinned namespace go: it dies with its last user. A mount still in use is detached; an absent path, or a file on which
 * nothing is mounted, is success.
 */
export function unpinNamespace(path: string): void {
  try {
    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  } catch (error) {
    // EINVAL: nothing is mounted there.
    if (!(error instanceof SyscallError && ['ENOENT', 'EINVAL'].includes(error.code))) {
      throw error;
    }
  }
  rmSync(path, { force: true });
}
