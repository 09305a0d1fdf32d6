import { statfsSync, statSync } from 'node:fs';
import { listMounts } from '../../kernel/mounts.ts';
import { deviceName } from './cgroup/io.ts';
import { unlessGone } from './cgroup/files.ts';

/** The file system that a directory is on. */
export interface FilesystemReading {
  /** `/dev/sda1`; the mount's source where there is no device node, as for tmpfs or btrfs. */
  readonly device: string;
  readonly bytes: bigint;
  readonly inodes: bigint;
  readonly inodesFree: bigint;
}

/** undefined when the directory is absent. */
export function readFilesystem(directory: string): FilesystemReading | undefined {
  return unlessGone(() => {
    const { blocks, bsize, files, ffree } = statfsSync(directory, { bigint: true });
    return { device: deviceOf(directory), bytes: blocks * bsize, inodes: files, inodesFree: ffree };
  });
}

function deviceOf(directory: string): string {
  const { dev } = statSync(directory, { bigint: true });
  const name = deviceName(`${major(dev)}:${minor(dev)}`);
  return name === '' ? sourceOf(directory) : name;
}

/** The source of the mount with the longest target that the directory lies at or below; of several the last one counts. */
function sourceOf(directory: string): string {
  const above = listMounts().filter(({ target }) =>
    `${directory}/`.startsWith(target === '/' ? '/' : `${target}/`),
  );
  const longest = Math.max(...above.map(({ target }) => target.length));
  return above.findLast(({ target }) => target.length === longest)?.source ?? '';
}

/** As gnu_dev_major(3): of the 64 bits of a device number 12 lie low and 20 high. */
function major(dev: bigint): bigint {
  return ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
}

function minor(dev: bigint): bigint {
  return (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
}
