/** The bridge itself: made when it is missing, given the gateways' addresses. */
import { SyscallError } from '../../../../kernel/errno.ts';
import { AF_INET, AF_INET6 } from '../../../../kernel/libc.ts';
import { deleteAddress, listAddresses, newAddress } from '../../../../kernel/netlink/addresses.ts';
import {
  bridgeData,
  changeLink,
  findLink,
  Iff,
  type Link,
  newLink,
} from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { CniCode, CniError } from '../../../cni/types.ts';
import { inNetwork, parseCidr } from '../../address.ts';
import { failure } from '../../config.ts';
import { enableForwarding } from '../../forwarding.ts';
import { broadcastOf } from '../../container-interface.ts';
import { doing } from '../../netns.ts';
import { ownRoutes, randomMac } from '../../veth.ts';
import type { BridgeConf } from './conf.ts';
import { usersOf } from './users.ts';

/** The bridge of this name; undefined when there is none. Throws when something else has the name. */
export function findBridge(host: NetlinkSocket, name: string): Link | undefined {
  const link = doing(`could not lookup "${name}"`, () => findLink(host, name));
  if (link !== undefined && link.kind !== 'bridge') {
    throw failure(`"${name}" already exists but is not a bridge`);
  }
  return link;
}

/** Makes the bridge if it is missing, and sees that it is up and as promiscuous as configured. */
export function ensureBridge(host: NetlinkSocket, conf: BridgeConf): Link {
  return doing(`failed to create bridge "${conf.bridge}"`, () => {
    const found = findBridge(host, conf.bridge) ?? createBridge(host, conf);
    // Whoever made it: a container must not advertise routes to the host.
    ownRoutes(conf.bridge);
    const up = (found.flags & Iff.UP) === 0;
    const promiscuous = conf.promiscMode && (found.flags & Iff.PROMISC) === 0;
    if (up || promiscuous) {
      host.request(
        changeLink(found.index, { ...(up ? { up } : {}), ...(promiscuous ? { promiscuous } : {}) }),
      );
    }
    return found;
  });
}

function createBridge(host: NetlinkSocket, conf: BridgeConf): Link {
  // With an address given from the start a bridge keeps it; else it takes the lowest of its ports' and changes as pods come and go.
  const request = newLink({
    name: conf.bridge,
    kind: 'bridge',
    mac: randomMac(),
    mtu: conf.mtu > 0 ? conf.mtu : undefined,
    data: conf.vlan.filtering ? bridgeData({ vlanFiltering: true }) : undefined,
  });
  doing(`could not add "${conf.bridge}"`, () => unlessPresent(() => host.request(request)));
  const bridge = findBridge(host, conf.bridge);
  if (bridge === undefined) {
    throw failure(`could not lookup "${conf.bridge}": Link not found`);
  }
  return bridge;
}

/** Another plugin on the same bridge may have been faster. */
function unlessPresent(add: () => void): void {
  try {
    add();
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === 'EEXIST')) {
      throw error;
    }
  }
}

/** What decides whether a bridge may lose an address that it has. */
export interface Readdressing {
  /** It may, whoever uses it. */
  readonly force: boolean;
  /** Ports of other containers that use it. Asked only when there is another address. */
  readonly users: () => readonly Link[];
  /** Where libcni's results tell whose they are. */
  readonly cacheDir: string | undefined;
}

/** Gives the bridge the gateways' addresses and lets the host forward for their families. */
export function ensureGateways(
  host: NetlinkSocket,
  bridge: Link,
  addresses: readonly string[],
  how: Readdressing,
): void {
  for (const address of addresses) {
    doing('failed to set bridge addr', () => ensureAddress(host, bridge, address, addresses, how));
  }
  enableForwarding(addresses);
}

/**
 * IPv4: the bridge has one address, unless `force` replaces it. IPv6: it may have several that do not overlap. `all` are the
 * gateways of one container.
 */
function ensureAddress(
  host: NetlinkSocket,
  bridge: Link,
  address: string,
  all: readonly string[],
  how: Readdressing,
): void {
  const family = address.includes(':') ? AF_INET6 : AF_INET;
  const present = doing('could not get list of IP addresses', () =>
    listAddresses(host, { index: bridge.index, family }),
  );
  if (present.some((each) => each.address === address)) {
    return;
  }
  for (const other of present.filter((each) => family === AF_INET || overlap(each.address, address))) {
    if (!how.force) refuseUsed(bridge, address, other.address, all, how);
    doing(`could not remove IP address from "${bridge.name}"`, () =>
      host.request(deleteAddress({ index: bridge.index, address: other.address })),
    );
  }
  const request = newAddress({ index: bridge.index, address, broadcast: broadcastOf(address) });
  doing(`could not add IP address ${address} to "${bridge.name}"`, () =>
    unlessPresent(() => host.request(request)),
  );
  doing("could not set bridge's mac", () => fixMac(host, bridge));
}

/**
 * Another address may be replaced only while it is nobody's gateway: neither this container's own, in a network with two ranges of
 * one family, nor that of other containers. Names their pods.
 */
function refuseUsed(
  bridge: Link,
  address: string,
  other: string,
  all: readonly string[],
  { users, cacheDir }: Readdressing,
): void {
  const refuse = (details: string): CniError => {
    const problem = `"${bridge.name}" already has an IP address different from ${address}`;
    return new CniError(CniCode.Internal, problem, details);
  };
  if (all.includes(other)) throw refuse(`${other} is a gateway of the same network`);
  const ports = users().map(({ name }) => name);
  if (ports.length > 0) throw refuse(usersOf(ports, cacheDir));
}

/**
 * For a bridge that somebody else made: once set explicitly, its hardware address no longer follows its ports. Read again, as
 * the first port has just given it one.
 */
function fixMac(host: NetlinkSocket, bridge: Link): void {
  const mac = findLink(host, bridge.index)?.mac;
  if (mac !== undefined) {
    host.request(changeLink(bridge.index, { mac }));
  }
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [parseCidr(one), parseCidr(other)];
  return a !== undefined && b !== undefined && (inNetwork(a.address, b) || inNetwork(b.address, a));
}
