/** Files as block devices: what `losetup` does, see loop(4). */
import { closeSync, constants, openSync } from 'node:fs';
import { endianness } from 'node:os';
import { isErrno } from '../lib/errors.ts';
import { ioctl } from './libc.ts';
import { sleepSync } from './sleep.ts';

const LOOP_CTL_GET_FREE = 0x4c82;
/** Since Linux 5.8. */
const LOOP_CONFIGURE = 0x4c0a;

// struct loop_config of linux/loop.h: the file, the size of a block, then struct loop_info64.
const CONFIG_BYTES = 304;
const FLAGS_AT = 60;
const NAME_AT = 64;
const NAME_MOST = 63;
const LO_FLAGS_READ_ONLY = 1;
/** The device is free again once nothing has it open or mounted. */
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;

/** Others may take the free device that we were told of. */
const TRIES = 20;

export interface LoopOptions {
  readonly readonly: boolean;
  readonly directIo: boolean;
}

/** Runs a function with the path of a loop device that has a file behind it; afterwards the device lives as long as it is mounted. */
export function withLoopDevice<T>(file: string, options: LoopOptions, work: (device: string) => T): T {
  const access = options.readonly ? constants.O_RDONLY : constants.O_RDWR;
  const backing = openSync(file, access);
  try {
    const { device, fd } = attach(access, configOf(file, backing, options));
    try {
      return work(device);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(backing);
  }
}

function attach(access: number, config: Uint8Array): { device: string; fd: number } {
  for (let tries = 1; ; tries += 1) {
    const device = `/dev/loop${freeNumber()}`;
    const fd = openSync(device, access);
    try {
      ioctl(fd, LOOP_CONFIGURE, config);
      return { device, fd };
    } catch (error) {
      closeSync(fd);
      if (!isErrno(error, 'EBUSY') || tries === TRIES) throw error;
      sleepSync(tries);
    }
  }
}

function freeNumber(): number {
  const control = openSync('/dev/loop-control', constants.O_RDWR);
  try {
    return ioctl(control, LOOP_CTL_GET_FREE, 0);
  } finally {
    closeSync(control);
  }
}

function configOf(file: string, backing: number, { readonly, directIo }: LoopOptions): Uint8Array {
  const config = Buffer.alloc(CONFIG_BYTES);
  const flags =
    LO_FLAGS_AUTOCLEAR | (readonly ? LO_FLAGS_READ_ONLY : 0) | (directIo ? LO_FLAGS_DIRECT_IO : 0);
  const write = (value: number, at: number): unknown =>
    endianness() === 'LE' ? config.writeUInt32LE(value, at) : config.writeUInt32BE(value, at);
  write(backing, 0);
  write(flags, FLAGS_AT);
  // For people only: `losetup` shows it.
  config.set(Buffer.from(file).subarray(0, NAME_MOST), NAME_AT);
  return config;
}
