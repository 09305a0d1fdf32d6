/** The jobs of worker threads that have to do with the links that leases are for: all that needs a foreign namespace. */
import { AF_INET } from '../../../../kernel/libc.ts';
import { deleteAddress, listAddresses, replaceAddress } from '../../../../kernel/netlink/addresses.ts';
import { changeLink, findLink, Iff, type Link } from '../../../../kernel/netlink/links.ts';
import { listRoutes, newRoute, type RouteSpec } from '../../../../kernel/netlink/routes.ts';
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

/** Routes that the kernel makes by itself, with the address. */
const RTPROT_KERNEL = 2;

export const jobs: Readonly<Record<string, Job>> = {
  'dhcp.open': (arg) => open(arg as OpenJob),
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

/** Takes the address off the link, if that has it; the routes that go with it, for restore. */
function withdraw({ netns, ifName, address }: AddressJob): RouteSpec[] {
  if (!isNamespace(netns)) return [];
  using socket = NetlinkSocket.openIn(netns);
  const link = findLink(socket, ifName);
  const has = listAddresses(socket, { family: AF_INET, index: link?.index ?? 0 });
  if (link === undefined || !has.some((each) => each.address === address)) return [];
  const routes = listRoutes(socket, { family: AF_INET, index: link.index, table: 0 });
  socket.request(deleteAddress({ index: link.index, address }));
  return routes.filter(({ protocol }) => protocol !== RTPROT_KERNEL).map(specOf);
}

function specOf({
  destination,
  gateway,
  source,
  priority,
  table,
  scope,
  protocol,
  mtu,
  advmss,
}: ListedRoute): RouteSpec {
  return {
    destination,
    gateway: gateway || undefined,
    source: source || undefined,
    priority: priority || undefined,
    table,
    scope,
    protocol,
    mtu,
    advmss,
  };
}

type ListedRoute = ReturnType<typeof listRoutes>[number];

/** Puts back what withdraw took; a route that cannot be had again is left out. */
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
