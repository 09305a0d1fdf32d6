/** Tap devices (linux/if_tun.h): made by ioctl(2), as netlink cannot. */
import { closeSync, openSync } from 'node:fs';
import { BerthError } from '../lib/errors.ts';
import { ioctl } from './libc.ts';
import { withExecLabel } from './selinux.ts';
import { runTool } from './tool.ts';

const TUNSETIFF = 0x4004_54ca;
const TUNSETPERSIST = 0x4004_54cb;
const TUNSETOWNER = 0x4004_54cc;
const TUNSETGROUP = 0x4004_54ce;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;

/** struct ifreq: name, and here flags. */
const IFREQ = 40;
const NAME = 16;

export interface TapSpec {
  readonly name: string;
  readonly multiQueue: boolean;
  /** Id of the user, and of the group, who may attach to it; anybody with the capability when absent. */
  readonly owner?: number | undefined;
  readonly group?: number | undefined;
}

/** What TUNSETIFF is given. */
export function tapRequest({ name, multiQueue }: Pick<TapSpec, 'name' | 'multiQueue'>): Buffer {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes >= NAME) throw new RangeError(`not an interface name: ${JSON.stringify(name)}`);
  const request = Buffer.alloc(IFREQ);
  request.write(name, 0);
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI | (multiQueue ? IFF_MULTI_QUEUE : 0), NAME);
  return request;
}

/** Makes a tap device in the calling thread's network namespace, where it stays. EBUSY when the name is taken. */
export function createTap(spec: TapSpec): void {
  const fd = openSync('/dev/net/tun', 'r+');
  try {
    ioctl(fd, TUNSETIFF, tapRequest(spec));
    if (spec.owner !== undefined) ioctl(fd, TUNSETOWNER, spec.owner);
    if (spec.group !== undefined) ioctl(fd, TUNSETGROUP, spec.group);
    ioctl(fd, TUNSETPERSIST, 1);
  } finally {
    closeSync(fd);
  }
}

/**
 * As createTap, with the SELinux label that decides who may attach to it. A device has the label of the process that makes it, which for
 * one with many threads cannot change: ip(8) is that process. Throws INVALID_ARGUMENT for a label that the kernel does not know.
 */
export function createLabelledTap({ name, multiQueue, owner, group }: TapSpec, label: string): void {
  const args = ['tuntap', 'add', 'mode', 'tap', 'name', name];
  if (multiQueue) args.push('multi_queue');
  if (owner !== undefined) args.push('user', String(owner));
  if (group !== undefined) args.push('group', String(group));
  const { status, stderr } = withExecLabel(label, () => runTool('ip', args));
  if (status !== 0) throw new BerthError('INTERNAL', `ip ${args.join(' ')}: ${stderr.trim()}`);
}
