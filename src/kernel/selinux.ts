import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError, isErrno, messageOf } from '../lib/errors.ts';
import { SyscallError } from './errno.ts';
import { lgetxattr, lsetxattr } from './libc.ts';

/** The jobs module that a pool must load to give labels. */
export const selinuxJobsModule = new URL('./selinux-jobs.js', import.meta.url);

const ATTRIBUTE = 'security.selinux';
const LABEL_MAX = 4_096;

/**
 * Whether SELinux labels processes. Until a policy is loaded the kernel shows its files, gives every process the label `kernel`, and
 * takes no other; OCI runtimes then refuse a spec that has one.
 */
export function isSelinuxOn({ selinuxfs = '/sys/fs/selinux', proc = '/proc' } = {}): boolean {
  if (!existsSync(`${selinuxfs}/enforce`)) return false;
  return readFileSync(`${proc}/thread-self/attr/current`, 'utf8').replace(/\0$/, '') !== 'kernel';
}

/** The SELinux label of a file, of a symlink itself; undefined when it has none. Blocks. */
export function selinuxLabel(path: string): string | undefined {
  const buffer = new Uint8Array(LABEL_MAX);
  const length = lgetxattr(path, ATTRIBUTE, buffer);
  if (length === 0) return undefined;
  return Buffer.from(buffer.subarray(0, length)).toString('utf8').replace(/\0$/, '');
}

/**
 * Gives a path, and all below it, an SELinux label. What has it already is not written, what a file system cannot label or what goes
 * meanwhile is passed over. Blocks.
 */
export function relabelTree(path: string, label: string): void {
  try {
    if (selinuxLabel(path) !== label) lsetxattr(path, ATTRIBUTE, Buffer.from(`${label}\0`));
    if (!lstatSync(path).isDirectory()) return;
    for (const name of readdirSync(path)) relabelTree(join(path, name), label);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EOPNOTSUPP')) return;
    throw error instanceof SyscallError ? error.toBerthError(`failed to label "${path}"`) : error;
  }
}

/**
 * Does something synchronous: programs that it starts run with this SELinux label. Throws INVALID_ARGUMENT when the kernel takes no such
 * label, which without SELinux is none.
 */
export function withExecLabel<T>(label: string, action: () => T): T {
  // Of the calling thread, and inherited by what it forks until execve(2).
  const attribute = '/proc/thread-self/attr/exec';
  try {
    writeFileSync(attribute, label);
  } catch (error) {
    const reason = `the kernel takes no SELinux label "${label}": ${messageOf(error)}`;
    throw new BerthError('INVALID_ARGUMENT', reason, { cause: error });
  }
  try {
    return action();
  } finally {
    writeFileSync(attribute, '\n');
  }
}
