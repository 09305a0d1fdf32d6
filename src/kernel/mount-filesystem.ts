import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import { BerthError } from '../lib/errors.ts';
import {
  chdir,
  CLONE_FS,
  fchdir,
  MS_BIND,
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_MANDLOCK,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
  mount,
  unshare,
} from './libc.ts';
import { withLoopDevice } from './loop-device.ts';

/** A mount as snapshotters describe it: the type and options of mount(8). */
export interface FilesystemMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** mount(2) takes one page of options, its NUL included. */
const OPTIONS_MAX = 4_095;

/** Options that are flags, as containerd and mount(8) know them. */
const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY,
  bind: MS_BIND,
  rbind: MS_BIND | MS_REC,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
  sync: MS_SYNCHRONOUS,
  dirsync: MS_DIRSYNC,
  mand: MS_MANDLOCK,
  noatime: MS_NOATIME,
  nodiratime: MS_NODIRATIME,
  relatime: MS_RELATIME,
  strictatime: MS_STRICTATIME,
  lazytime: MS_LAZYTIME,
  nosymfollow: MS_NOSYMFOLLOW,
  defaults: 0,
};
/** Those that take a flag back. */
const CLEARED: Readonly<Record<string, number>> = {
  rw: MS_RDONLY,
  suid: MS_NOSUID,
  dev: MS_NODEV,
  exec: MS_NOEXEC,
  async: MS_SYNCHRONOUS,
  nomand: MS_MANDLOCK,
  atime: MS_NOATIME,
  diratime: MS_NODIRATIME,
  norelatime: MS_RELATIME,
  nostrictatime: MS_STRICTATIME,
  nolazytime: MS_LAZYTIME,
  symfollow: MS_NOSYMFOLLOW,
};

/** Options as mount(2) takes them. */
interface MountOptions {
  readonly flags: number;
  /** What the file system itself understands. */
  readonly data: readonly string[];
  /** The source is a file, to be mounted by a loop device. */
  readonly loop: boolean;
}

/**
 * Takes the options of mount(8) apart; what is for user space alone (`x-…`) is dropped. Throws FAILED_PRECONDITION naming one that
 * asks for more than to mount.
 */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    // containerd's mount manager would prepare something: to mount without that would be another file system.
    if (/^(X-containerd\.|[ug]idmap=)/.test(option))
      throw new BerthError('FAILED_PRECONDITION', `Berth cannot mount with the option "${option}"`);
    if (Object.hasOwn(FLAGS, option)) flags |= FLAGS[option] ?? 0;
    else if (Object.hasOwn(CLEARED, option)) flags &= ~(CLEARED[option] ?? 0);
    else if (option !== 'loop' && !/^x-/i.test(option)) data.push(option);
  }
  return { flags, data, loop: options.includes('loop') };
}

/**
 * Mounts what a snapshotter describes, in the mount namespace of the calling thread, which must be a worker. An overlay of so many
 * layers that its options exceed a page is mounted with paths relative to what they have in common. (fsconfig(2) is no way out:
 * before Linux 6.7 it does not take the layers one by one, and no value of more than 255 bytes.) Throws FAILED_PRECONDITION
 * naming the type or option of what takes more than mount(2).
 */
export function mountFilesystem(
  { type, source, options }: FilesystemMount,
  target: string,
  { readonly = false }: { readonly readonly?: boolean } = {},
): void {
  // Types such as `mkfs/ext4` and `format/overlay` are for containerd's mount manager, `fuse3.…` for a program.
  if (type.includes('/') || /^fuse3?\./.test(type))
    throw new BerthError('FAILED_PRECONDITION', `Berth cannot mount the type "${type}" of "${source}"`);
  const { flags: asked, data, loop } = parseMountOptions(options);
  const flags = readonly ? asked | MS_RDONLY : asked;
  if (type === 'bind' || (flags & MS_BIND) !== 0) {
    mount(source, target, 'none', MS_BIND | MS_REC, null);
    // A bind mount takes its flags only when it is mounted anew.
    if ((flags & ~MS_REC) !== MS_BIND) mount('none', target, null, flags | MS_BIND | MS_REMOUNT, null);
    return;
  }
  if (loop) {
    const others = data.filter((option) => option !== 'direct-io').join(',');
    const how = { readonly: (flags & MS_RDONLY) !== 0, directIo: data.includes('direct-io') };
    withLoopDevice(source, how, (device) => mount(device, target, type, flags, others));
    return;
  }
  const all = data.join(',');
  if (Buffer.byteLength(all) <= OPTIONS_MAX) {
    mount(source, target, type, flags, all);
    return;
  }
  const { directory, options: relative } = relativeOverlay(data);
  const short = relative.join(',');
  if (Buffer.byteLength(short) > OPTIONS_MAX)
    throw new Error(`the options of ${type} are ${Buffer.byteLength(short)} bytes, over ${OPTIONS_MAX}`);
  inDirectory(directory, () => mount(source, target, type, flags, short));
}

const PATH_OPTIONS = ['lowerdir', 'upperdir', 'workdir'];

/** Options of an overlay with each path relative to the directory that all of them are below. */
export function relativeOverlay(options: readonly string[]): { directory: string; options: string[] } {
  const parsed = options.map((option) => {
    const at = option.indexOf('=');
    const name = option.slice(0, at);
    return PATH_OPTIONS.includes(name) ? { name, paths: option.slice(at + 1).split(':') } : { option };
  });
  const paths = parsed.flatMap(({ paths: some = [] }) => some);
  const directory = commonDirectory(paths);
  return {
    directory,
    options: parsed.map(({ option, name = '', paths: some = [] }) =>
      option === undefined
        ? `${name}=${some.map((path) => posix.relative(directory, path)).join(':')}`
        : option,
    ),
  };
}

function commonDirectory(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => posix.dirname(path).split('/'));
  const differs = first.findIndex((name, i) => others.some((other) => other[i] !== name));
  return (differs < 0 ? first : first.slice(0, differs)).join('/') || '/';
}

/** The thread's working directory is its own from the first such call on. */
function inDirectory(directory: string, work: () => void): void {
  unshare(CLONE_FS);
  const back = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    chdir(directory);
    work();
  } finally {
    fchdir(back);
    closeSync(back);
  }
}
