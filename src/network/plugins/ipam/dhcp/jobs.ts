/** The jobs of worker threads that have to do with the links that leases are for: all that needs a foreign namespace. */
import { AF_INET } from '../../../../kernel/libc.ts';
import { deleteAddress, listAddresses, replaceAddress } from '../../../../kernel/netlink/addresses.ts';
import { changeLink, findLink, Iff, type Link } from '../../../../kernel/netlink/links.ts';
import {
  listRoutes,
  newRoute,
  RTPROT_KERNEL,
  type RouteSpec,
  specOf,
} from '../../../../kernel/netlink/routes.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { openPacketSocket } from '../../../../kernel/packet-socket.ts';
import { isNamespace, withNetns } from '../../../../kernel/thread-namespaces.ts';
import type { Job } from '../../../../kernel/threads/job.ts';
import { broadcastOf } from '../../container-interface.ts';
import { clientFilter } from './frame.ts';

/** Where a link is. */
export interface Place {
  readonly netns: string;
  readonly ifName: string;
}

export interface OpenJob extends Place {
  /** Brings the link up first if it is down. */
  readonly up: boolean;
}

/** An open socket on a link. */
export interface OpenLink extends Pick<Link, 'mac' | 'mtu' | 'kind'> {
  readonly fd: number;
}

export interface AddressJob extends Place {
  /** With its prefix length. */
  readonly address: string;
}

export interface RestoreJob extends AddressJob {
  readonly routes: readonly RouteSpec[];
}

export const jobs: Readonly<Record<string, Job>> = {
  'dhcp.open': (arg) => open(arg as OpenJob),
  'dhcp.routes': (arg) => routes(arg as AddressJob),
  'dhcp.withdraw': (arg) => withdraw(arg as AddressJob),
  'dhcp.restore': (arg) => restore(arg as RestoreJob),
};

/** Undefined when the link, or the whole namespace, is gone. */
function open({ netns, ifName, up }: OpenJob): OpenLink | undefined {
  if (!isNamespace(netns)) return undefined;
  return withNetns(netns, () => {
    using socket = NetlinkSocket.open();
    const link = findLink(socket, ifName);
    if (link === undefined) return undefined;
    const { index, mac, mtu, kind } = link;
    if (up && (link.flags & Iff.UP) === 0) socket.request(changeLink(index, { up: true }));
    return { fd: openPacketSocket(index, clientFilter), mac, mtu, kind };
  });
}

/** The routes that go with the address, for restore. */
function routes(job: AddressJob): RouteSpec[] {
  const listed = withAddress(job, (socket, index) =>
    listRoutes(socket, { family: AF_INET, index, table: 0 }),
  );
  return (listed ?? []).filter(({ protocol }) => protocol !== RTPROT_KERNEL).map(specOf);
}

function withdraw(job: AddressJob): boolean {
  const { address } = job;
  const isTaken = withAddress(job, (socket, index) => {
    socket.request(deleteAddress({ index, address }));
    return true;
  });
  return isTaken ?? false;
}

/** Undefined when the link has no such address, or is gone. */
function withAddress<T>(
  { netns, ifName, address }: AddressJob,
  action: (socket: NetlinkSocket, index: number) => T,
): T | undefined {
  if (!isNamespace(netns)) return undefined;
  using socket = NetlinkSocket.openIn(netns);
  const index = findLink(socket, ifName)?.index;
  if (index === undefined) return undefined;
  const has = listAddresses(socket, { family: AF_INET, index }).some((each) => each.address === address);
  return has ? action(socket, index) : undefined;
}

/** Puts back what was withdrawn; a route that cannot be had again is left out. */
function restore({ netns, ifName, address, routes }: RestoreJob): void {
  using socket = NetlinkSocket.openIn(netns);
  const link = findLink(socket, ifName);
  if (link === undefined) return;
  const { index } = link;
  socket.request(replaceAddress({ index, address, broadcast: broadcastOf(address) }));
  // Those on the link first: gateways are reached by them.
  const sorted = routes.toSorted((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined));
  socket.batch(sorted.map((route) => newRoute({ ...route, index }, 'beside')));
}
