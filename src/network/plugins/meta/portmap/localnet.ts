import { AF_INET } from '../../../../kernel/libc.ts';
import { encodeAttributes } from '../../../../kernel/netlink/codec.ts';
import { Rtm } from '../../../../kernel/netlink/constants.ts';
import { parseIp } from '../../../../kernel/netlink/ip.ts';
import { findLink } from '../../../../kernel/netlink/links.ts';
import { parseRoute } from '../../../../kernel/netlink/routes.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { writeSysctl } from '../../../../kernel/sysctl.ts';
import { isErrno } from '../../../../lib/errors.ts';

/** struct rtmsg: family, length of the destination's prefix, ten more bytes. */
const RTMSG_LENGTH = 12;

/**
 * Lets packets from 127.0.0.0/8 out to the link that leads to an IPv4 address, so that a host port answers on localhost.
 * Nothing happens when no route leads there.
 */
export function enableLocalnetRouting(address: string): void {
  const link = linkTowards(address);
  if (link !== undefined) writeSysctl(`net/ipv4/conf/${link}/route_localnet`, '1');
}

function linkTowards(address: string): string | undefined {
  using socket = NetlinkSocket.open();
  const header = Buffer.alloc(RTMSG_LENGTH);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(32, 1);
  const destination = encodeAttributes({ destination: parseIp(address) }, { destination: [1, 'bytes'] });
  const payload = Buffer.concat([header, destination]);
  try {
    const [message] = socket.request({
      type: Rtm.GETROUTE,
      flags: 0,
      payload,
      subject: `route to ${address}`,
    });
    return message === undefined ? undefined : findLink(socket, parseRoute(message).index)?.name;
  } catch (error) {
    if (isErrno(error, 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL')) return undefined;
    throw error;
  }
}
