import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { isErrno } from '../lib/errors.ts';
import type { DeviceType, LinuxDevice } from './types.ts';

/** Directories of /dev that belong to one container, or are no devices. */
const LEFT_OUT = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev']);

/** All devices of the node, for a privileged container. */
export function hostDevices(): Promise<LinuxDevice[]> {
  return devicesBelow('/dev', '/dev');
}

/**
 * The device at a path of the node, or those of a directory and what is below it, under the name that they have in the container.
 * Throws an errno exception when the path is absent; a file that is no device gives an empty list.
 */
export async function devicesAt(hostPath: string, containerPath: string): Promise<LinuxDevice[]> {
  const found = await stat(hostPath);
  if (found.isDirectory()) return devicesBelow(hostPath, containerPath);
  const device = deviceOf(containerPath, await lstat(hostPath));
  return device === undefined ? [] : [device];
}

async function devicesBelow(hostPath: string, containerPath: string): Promise<LinuxDevice[]> {
  const entries = await readdir(hostPath, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry): Promise<LinuxDevice[]> => {
      const from = join(hostPath, entry.name);
      const to = posix.join(containerPath, entry.name);
      if (entry.isDirectory()) return LEFT_OUT.has(entry.name) ? [] : devicesBelow(from, to);
      // Every container has a console of its own.
      if (entry.name === 'console') return [];
      return devicesInDirectory(from, to);
    }),
  );
  return found.flat();
}

/** Devices come and go: one that has just gone is none. */
async function devicesInDirectory(from: string, to: string): Promise<LinuxDevice[]> {
  try {
    const device = deviceOf(to, await lstat(from));
    return device === undefined || device.type === 'p' ? [] : [device];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** The device that a file is, undefined when it is none. */
export function deviceOf(path: string, file: Stats): LinuxDevice | undefined {
  const type = deviceType(file);
  if (type === undefined) return undefined;
  const { major, minor } = deviceNumber(file.rdev);
  return { path, type, major, minor, fileMode: file.mode & 0o7777, uid: file.uid, gid: file.gid };
}

function deviceType(file: Stats): DeviceType | undefined {
  if (file.isBlockDevice()) return 'b';
  if (file.isCharacterDevice()) return 'c';
  return file.isFIFO() ? 'p' : undefined;
}

/** The two parts of a dev_t, whose bits are interleaved for the sake of history. Source: makedev(3). */
function deviceNumber(rdev: number): { major: number; minor: number } {
  const bits = BigInt(rdev);
  return {
    major: Number(((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xffff_f000n)),
    minor: Number((bits & 0xffn) | ((bits >> 12n) & 0xffff_ff00n)),
  };
}
