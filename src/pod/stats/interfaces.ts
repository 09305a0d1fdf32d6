import { afterHeader, decodeAttributes, type Message } from '../../kernel/netlink/codec.ts';
import { Rtm } from '../../kernel/netlink/constants.ts';
import { Iff } from '../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { unlessGone } from './cgroup/files.ts';

/** What went through one interface since it was made. */
export interface InterfaceReading {
  readonly name: string;
  readonly rxBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxErrors: bigint;
  readonly rxDropped: bigint;
  readonly txBytes: bigint;
  readonly txPackets: bigint;
  readonly txErrors: bigint;
  readonly txDropped: bigint;
}

/** struct ifinfomsg: family, padding, type, index, flags, change mask. */
const HEADER = 16;
const FLAGS = 8;

const LINK = { name: [3, 'string'], stats: [23, 'bytes'] } as const;

/** struct rtnl_link_stats64 begins with these, eight bytes each. */
const COUNTERS = [
  'rxPackets',
  'txPackets',
  'rxBytes',
  'txBytes',
  'rxErrors',
  'txErrors',
  'rxDropped',
  'txDropped',
] as const;

/**
 * The interfaces of the network namespace at a path, but for loopback, in the kernel's order. undefined when there is no such
 * namespace. Enters it: for worker threads only.
 */
export function readInterfaces(netns: string): InterfaceReading[] | undefined {
  return unlessGone(() => {
    using socket = NetlinkSocket.openIn(netns);
    const links = { type: Rtm.GETLINK, flags: 0, payload: Buffer.alloc(HEADER), subject: 'links' };
    return socket.dump(links).flatMap((message) => parseInterface(message) ?? []);
  });
}

/** undefined for loopback, and for an interface that the kernel sends no counters of. */
export function parseInterface(message: Message): InterfaceReading | undefined {
  const { name, stats } = decodeAttributes(afterHeader(message.payload, HEADER), LINK);
  const isLoopback = (message.payload.readUInt32LE(FLAGS) & Iff.LOOPBACK) !== 0;
  if (isLoopback || name === undefined || stats === undefined || stats.length < COUNTERS.length * 8) {
    return undefined;
  }
  const counters = Object.fromEntries(COUNTERS.map((counter, i) => [counter, stats.readBigUInt64LE(i * 8)]));
  return { name, ...(counters as Record<(typeof COUNTERS)[number], bigint>) };
}
