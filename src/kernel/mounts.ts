import { readFileSync } from 'node:fs';
import { SyscallError } from './errno.ts';
import {
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_REC,
  mount,
  UMOUNT_NOFOLLOW,
  umount2,
} from './libc.ts';
import { makeDirectorySync } from '../lib/directories.ts';

/** One line of mountinfo. */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  /** What of the file system is seen here: `/`, or a directory of it for a bind mount. */
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[];
  /** `shared:1`, `master:2`, `propagate_from:3`, `unbindable`. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** /dev/shm of a pod, as containerd and CRI-O make it. */
export const SHM_BYTES = 64 * 1024 * 1024;

/** Mounts a pod's shared memory at a directory (made when absent). Acts on the calling thread's mount namespace. */
export function mountShm(target: string, bytes: number = SHM_BYTES): void {
  makeDirectorySync(target, 0o700);
  mount('shm', target, 'tmpfs', MS_NOEXEC | MS_NOSUID | MS_NODEV, `mode=1777,size=${bytes}`);
}

export function bindMount(
  source: string,
  target: string,
  options: { readonly recursive?: boolean } = {},
): void {
  mount(source, target, 'none', MS_BIND | (options.recursive === true ? MS_REC : 0), null);
}

/** Detaches what is mounted at a path, in use or not. False when nothing is mounted there or the path is absent. */
export function unmount(target: string): boolean {
  try {
    umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && ['EINVAL', 'ENOENT'].includes(error.code)) {
      return false;
    }
    throw error;
  }
}

/** Detaches all that is mounted at a path, also what lies one upon another. */
export function unmountAll(target: string): void {
  while (unmount(target)) {
    // Each turn uncovers the mount below.
  }
}

/** Detaches all mounts at or below a path, the last mounted first. */
export function unmountTree(path: string): void {
  for (const { target } of listMounts(path).reverse()) {
    unmount(target);
  }
}

/** The mounts at or below a path, in the order in which they were made. */
export function listMounts(path = '/'): Mount[] {
  const below = path.endsWith('/') ? path : `${path}/`;
  const isWanted = (target: string): boolean => target === path || target.startsWith(below);
  const lines = readFileSync('/proc/thread-self/mountinfo', 'utf8').split('\n');
  // A node with many pods has thousands of lines.
  return lines.filter((line) => isWanted(unescape(line.split(' ', 5)[4] ?? ''))).flatMap(parseLine);
}

/** Reads the format of proc_pid_mountinfo(5). Lines that do not have it are left out. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap(parseLine);
}

function parseLine(line: string): Mount[] {
  const fields = line.split(' ');
  // A variable number of optional fields ends with a lone dash.
  const dash = fields.indexOf('-', 6);
  const [id, parent, , root, target, options] = fields;
  const [type, source, superOptions] = fields.slice(dash + 1);
  if (dash < 0 || root === undefined || target === undefined || type === undefined || source === undefined) {
    return [];
  }
  return [
    {
      id: Number(id),
      parent: Number(parent),
      root: unescape(root),
      target: unescape(target),
      options: (options ?? '').split(','),
      propagation: fields.slice(6, dash),
      type,
      source: unescape(source),
      superOptions: (superOptions ?? '').split(','),
    },
  ];
}

/** Blank, tab, newline and backslash are written as three octal digits. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
