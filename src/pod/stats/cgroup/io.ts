import { join } from 'node:path';
import { readText, toCount } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** What went to and from one block device. */
export interface DeviceReading {
  readonly major: string;
  readonly minor: string;
  /** `/dev/sda`; '' for a device that has gone. */
  readonly device: string;
  readonly readBytes: bigint;
  readonly writeBytes: bigint;
  readonly discardBytes: bigint;
  readonly reads: bigint;
  readonly writes: bigint;
}

type Counts = Map<string, bigint>;

/** By device; undefined when there is no such cgroup. */
export function readDevices(cgroup: Cgroup): DeviceReading[] | undefined {
  const at = directoryOf(cgroup, 'blkio');
  if (at === undefined) return undefined;
  const devices = at.version === 1 ? countsV1(at.directory) : countsV2(at.directory);
  if (devices === undefined) return undefined;
  return [...devices].map(([number, counts]) => {
    const [major = '', minor = ''] = number.split(':');
    const count = (name: string): bigint => counts.get(name) ?? 0n;
    return {
      major,
      minor,
      device: deviceName(number),
      readBytes: count('rbytes'),
      writeBytes: count('wbytes'),
      discardBytes: count('dbytes'),
      reads: count('rios'),
      writes: count('wios'),
    };
  });
}

/** `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0` */
function countsV2(directory: string): Map<string, Counts> | undefined {
  const text = readText(join(directory, 'io.stat'));
  if (text === undefined) return undefined;
  const devices = new Map<string, Counts>();
  for (const line of text.split('\n')) {
    const [number = '', ...fields] = line.split(' ');
    if (!number.includes(':')) continue;
    for (const field of fields) {
      const [name = '', value] = field.split('=');
      put(devices, number, name, value);
    }
  }
  return devices;
}

const V1_BYTES: Readonly<Record<string, string>> = { Read: 'rbytes', Write: 'wbytes', Discard: 'dbytes' };
const V1_OPERATIONS: Readonly<Record<string, string>> = { Read: 'rios', Write: 'wios' };

/** Lines of `8:0 Read 4096`, in one file for the bytes and one for the operations; by v2's names. */
function countsV1(directory: string): Map<string, Counts> | undefined {
  const bytes = readText(join(directory, 'blkio.throttle.io_service_bytes_recursive'));
  const operations = readText(join(directory, 'blkio.throttle.io_serviced_recursive'));
  if (bytes === undefined || operations === undefined) return undefined;
  const devices = new Map<string, Counts>();
  for (const [text, names] of [
    [bytes, V1_BYTES],
    [operations, V1_OPERATIONS],
  ] as const) {
    for (const line of text.split('\n')) {
      const [number = '', operation = '', value] = line.split(' ');
      const name = names[operation];
      if (name !== undefined) put(devices, number, name, value);
    }
  }
  return devices;
}

function put(devices: Map<string, Counts>, number: string, name: string, value: string | undefined): void {
  const count = toCount(value);
  if (count === undefined) return;
  const counts = devices.get(number) ?? new Map<string, bigint>();
  devices.set(number, counts.set(name, count));
}

/** The name of the device with this `major:minor`, by its node; '' when there is none. */
export function deviceName(number: string): string {
  const uevent = readText(`/sys/dev/block/${number}/uevent`) ?? '';
  const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
  return name === undefined ? '' : `/dev/${name}`;
}
