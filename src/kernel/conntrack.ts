/** Connection tracking, through ctnetlink (linux/netfilter/nfnetlink_conntrack.h). */
import { isErrno } from '../lib/errors.ts';
import { AF_INET, AF_INET6 } from './libc.ts';
import { decodeAttributes, encodeAttributes, type Message } from './netlink/codec.ts';
import { NETLINK_NETFILTER, nfHeader, NFGENMSG_LENGTH, NFNL_SUBSYS_CTNETLINK } from './netlink/netfilter.ts';
import { NetlinkSocket } from './netlink/socket.ts';

const CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
const CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2;
export const IPPROTO_UDP = 17;

const PROTO = { number: [1, 'u8'], destinationPort: [3, 'be16'] } as const;
const TUPLE = { proto: [2, 'nest', PROTO] } as const;
/** Tuple, id and zone of an entry are handed back to the kernel as they came. */
const ENTRY = { original: [1, 'bytes'], id: [12, 'bytes'], zone: [18, 'bytes'] } as const;
const DUMP = { original: [1, 'nest', TUPLE], filter: [25, 'nest', { originalFlags: [1, 'u32'] }] } as const;
const FILTER_PROTO_NUM = 1 << 3;
const FILTER_DESTINATION_PORT = 1 << 5;

/**
 * Deletes the UDP entries of connections that were made to these ports, as seen before any translation: datagrams of such a
 * flow would go on to where it went before. Returns how many. Throws a SyscallError.
 */
export function deleteUdpEntries(family: 4 | 6, ports: readonly number[]): number {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  return ports.reduce((count, port) => count + deletePort(socket, family, port), 0);
}

function deletePort(socket: NetlinkSocket, family: 4 | 6, port: number): number {
  const header = nfHeader(family === 4 ? AF_INET : AF_INET6);
  const proto = { number: IPPROTO_UDP, destinationPort: port };
  // Kernels before 5.8 know no filter and send every entry, hence isTo.
  const filter = { originalFlags: FILTER_PROTO_NUM | FILTER_DESTINATION_PORT };
  const wanted = encodeAttributes({ original: { proto }, filter }, DUMP);
  const subject = `conntrack entries of udp port ${port}`;
  const entries = socket
    .dump({ type: CT_GET, flags: 0, payload: Buffer.concat([header, wanted]), subject })
    .map((message) => decodeAttributes(message.payload.subarray(NFGENMSG_LENGTH), ENTRY))
    .filter(({ original }) => original !== undefined && isTo(original, port));
  for (const { original, id, zone } of entries) {
    const payload = Buffer.concat([header, encodeAttributes({ original, id, zone }, ENTRY)]);
    ignoreGone(() => socket.request({ type: CT_DELETE, flags: 0, payload, subject }));
  }
  return entries.length;
}

function isTo(original: Buffer, port: number): boolean {
  const { proto } = decodeAttributes(original, TUPLE);
  return proto?.number === IPPROTO_UDP && proto.destinationPort === port;
}

function ignoreGone(run: () => readonly Message[]): void {
  try {
    run();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
