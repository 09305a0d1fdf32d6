import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import {
  chdir,
  CLONE_FS,
  fchdir,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  mount,
  unshare,
} from './libc.ts';

/** A mount as snapshotters describe it: the type and options of mount(8). */
export interface FilesystemMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** mount(2) takes one page of options, its NUL included. */
const OPTIONS_MAX = 4_095;

const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY,
  rw: 0,
  bind: MS_BIND,
  rbind: MS_BIND | MS_REC,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
};

/**
 * Mounts what a snapshotter describes, in the mount namespace of the calling thread, which must be a worker. An overlay of so many
 * layers that its options exceed a page is mounted with paths relative to what they have in common. (fsconfig(2) is no way out:
 * before Linux 6.7 it does not take the layers one by one, and no value of more than 255 bytes.)
 */
export function mountFilesystem(
  { type, source, options }: FilesystemMount,
  target: string,
  { readonly = false }: { readonly readonly?: boolean } = {},
): void {
  const flags = options.reduce((all, option) => all | (FLAGS[option] ?? 0), readonly ? MS_RDONLY : 0);
  if (type === 'bind' || (flags & MS_BIND) !== 0) {
    mount(source, target, 'none', MS_BIND | MS_REC, null);
    // A bind mount takes its flags only when it is mounted anew.
    if ((flags & ~MS_REC) !== MS_BIND) mount('none', target, null, flags | MS_BIND | MS_REMOUNT, null);
    return;
  }
  const others = options.filter((option) => !(option in FLAGS));
  const data = others.join(',');
  if (Buffer.byteLength(data) <= OPTIONS_MAX) {
    mount(source, target, type, flags, data);
    return;
  }
  const { directory, options: relative } = relativeOverlay(others);
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
