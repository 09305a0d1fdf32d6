/** Giving a container's interface what a result says: what bridge, ptp and macvlan have in common. */
import { sleepSync } from '../../kernel/sleep.ts';
import { AF_INET, AF_INET6 } from '../../kernel/libc.ts';
import { Ifa, listAddresses, newAddress } from '../../kernel/netlink/addresses.ts';
import { changeLink, findLink } from '../../kernel/netlink/links.ts';
import { listRoutes, newRoute, type Route, RT_TABLE_LOCAL } from '../../kernel/netlink/routes.ts';
import type { NetlinkSocket, Request } from '../../kernel/netlink/socket.ts';
import { readSysctl, writeSysctl } from '../../kernel/sysctl.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ResultIp, ResultRoute } from '../cni/types.ts';
import { bits, formatAddress, formatCidr, lastOf, networkOf, parseCidr } from './address.ts';
import { failure } from './config.ts';
import { doing, kernelFailure } from './netns.ts';

/** How long IPv6 addresses may take to be known as unique, in milliseconds. */
const SETTLE_TIMEOUT_MS = 5000;
/** Pauses between looks, in milliseconds; the last one is repeated. Addresses that are not looked into are there after the first. */
const SETTLE_PAUSES = [1, 1, 2, 5, 10, 20, 50];

/** An interface in a container, by a socket in its namespace. */
export interface ContainerInterface {
  readonly socket: NetlinkSocket;
  readonly index: number;
  readonly name: string;
}

function isIpv6(text: string): boolean {
  return text.includes(':');
}

/**
 * Sees to it that an interface takes IPv6 addresses and keeps them over down and up. Call it inside the container's namespace,
 * before configure, when there are such addresses.
 */
export function enableIpv6(name: string, log: (line: string) => void): void {
  for (const each of ['lo', name]) {
    const sysctl = `net/ipv6/conf/${each}/disable_ipv6`;
    let value: string;
    try {
      value = readSysctl(sysctl);
    } catch (error) {
      log(`failed to read sysctl "${sysctl}": ${messageOf(error)}`);
      continue;
    }
    if (value !== '0') {
      const what = `failed to enable IPv6 for interface "${each}" (${sysctl}=${value})`;
      doing(what, () => writeSysctl(sysctl, '0'));
    }
  }
  doing(`failed to enable keep_addr_on_down for interface "${name}"`, () =>
    writeSysctl(`net/ipv6/conf/${name}/keep_addr_on_down`, '1'),
  );
}

/**
 * Takes IPv6 addresses of an interface for unique from now on: duplicate address detection, which takes some 2 s, is left out. Call it in
 * the interface's namespace, for one that nobody but us gives addresses in.
 */
export function trustAddresses(name: string): void {
  try {
    writeSysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
  } catch {
    // A kernel without IPv6 has no such setting, and needs none.
  }
}

/**
 * Adds the addresses, brings the interface up, waits for IPv6 addresses that have a gateway, adds the routes. A route without
 * a gateway goes through the first gateway of its family, if there is one.
 */
export function configure(
  target: ContainerInterface,
  ips: readonly ResultIp[],
  routes: readonly ResultRoute[],
): void {
  const gateways = ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]));
  const steps = [
    ...ips.map((ip) => addressStep(target, ip)),
    { what: `failed to set "${target.name}" UP`, request: changeLink(target.index, { up: true }) },
  ];
  const routeSteps = routes.map((route) => routeStep(target, route, gateways));
  if (gateways.some(isIpv6)) {
    run(target.socket, steps);
    settle(target);
    run(target.socket, routeSteps);
  } else {
    run(target.socket, [...steps, ...routeSteps]);
  }
}

interface Step {
  /** What the error says that failed. */
  readonly what: string;
  readonly request: Request;
}

/** All in one datagram. The first refusal is the error; what the kernel did after it goes with the interface. */
function run(socket: NetlinkSocket, steps: readonly Step[]): void {
  const answers = socket.batch(steps.map(({ request }) => request));
  answers.forEach((answer, index) => {
    if (!answer.ok) {
      throw kernelFailure(steps[index]?.what ?? '', answer.error);
    }
  });
}

function addressStep({ index, name }: ContainerInterface, { address }: ResultIp): Step {
  return {
    what: `failed to add IP addr ${address} to "${name}"`,
    request: newAddress({ index, address, broadcast: broadcastOf(address) }),
  };
}

/** The broadcast address that ip-address(8) and the reference plugins give; none for IPv6 and for networks of one or two. */
export function broadcastOf(address: string): string | undefined {
  const cidr = parseCidr(address);
  return cidr?.address.family === 4 && cidr.prefix < 31 ? formatAddress(lastOf(cidr)) : undefined;
}

function routeStep(
  { index, name }: ContainerInterface,
  route: ResultRoute,
  gateways: readonly string[],
): Step {
  const gateway = route.gw ?? gateways.find((candidate) => isIpv6(candidate) === isIpv6(route.dst));
  const { dst, mtu, advmss, priority, table, scope } = route;
  const facts = `metric ${priority ?? 0} (Scope: ${scope ?? 0}, Table: ${table ?? 0})`;
  const what = `failed to add route '${dst} via ${gateway ?? '<nil>'} dev ${name} ${facts}'`;
  const spec = { destination: dst, index, gateway, mtu, advmss, priority, table, scope };
  return { what, request: doing(what, () => newRoute(spec, 'beside')) };
}

/** Waits until no IPv6 address of the interface is tentative. An interface that is not up cannot settle: that is no error. */
function settle({ socket, index, name }: ContainerInterface): void {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (let look = 0; ; look += 1) {
    const addresses = listAddresses(socket, { index, family: AF_INET6 });
    const failed = addresses.find(({ flags }) => (flags & Ifa.DADFAILED) !== 0);
    if (failed !== undefined) {
      throw failure(
        `failed to settle addresses for "${name}": link ${name} has address ${failed.address} in DADFAILED state`,
      );
    }
    if (addresses.every(({ flags }) => (flags & Ifa.TENTATIVE) === 0)) {
      return;
    }
    if (performance.now() > deadline) {
      if (findLink(socket, index)?.operState === 'up') {
        const seconds = SETTLE_TIMEOUT_MS / 1000;
        throw failure(
          `failed to settle addresses for "${name}": link ${name} still has tentative addresses after ${seconds} seconds`,
        );
      }
      return;
    }
    sleepSync(SETTLE_PAUSES[look] ?? 50);
  }
}

/**
 * CHECK: the interface has the result's addresses, and there is a route to each one's network. One with all of its bits as prefix has
 * none, for which the reference finds no route.
 */
export function checkAddresses({ socket, index, name }: ContainerInterface, ips: readonly ResultIp[]): void {
  if (ips.length === 0) {
    return;
  }
  const present = listAddresses(socket, { index });
  for (const { address, gateway } of ips) {
    if (!present.some((each) => each.address === address)) {
      throw failure(`Failed to match addr ${address} on interface ${name}`);
    }
    const cidr = parseCidr(address);
    if (cidr !== undefined && cidr.prefix === bits(cidr.address.family)) continue;
    const network = cidr === undefined ? address : formatCidr({ ...cidr, address: networkOf(cidr) });
    if (!routesOf(socket, address).some((route) => route.destination === network)) {
      throw failure(`Failed to find Gateway ${gateway ?? '<nil>'} for interface ${name}`);
    }
  }
}

/**
 * CHECK: each of the result's routes is there, in its table if it names one. Of default routes the gateway is not compared, as in the
 * reference.
 */
export function checkRoutes(socket: NetlinkSocket, routes: readonly ResultRoute[]): void {
  for (const { dst, gw, table = 0 } of routes) {
    const isDefault = dst === '0.0.0.0/0' || dst === '::/0';
    const found = routesOf(socket, dst).some(
      (route) =>
        route.destination === dst &&
        (isDefault || gw === undefined || route.gateway === gw) &&
        (table === 0 || route.table === table),
    );
    if (!found) {
      throw failure(`Expected Route ${dst} via ${gw ?? '<nil>'} not found in routing table`);
    }
  }
}

/** Of all tables, as sbr and vrf take an interface's routes out of the main one; but not what the kernel keeps of local addresses. */
function routesOf(socket: NetlinkSocket, address: string): Route[] {
  const routes = listRoutes(socket, { family: isIpv6(address) ? AF_INET6 : AF_INET, table: 0 });
  return routes.filter(({ table }) => table !== RT_TABLE_LOCAL);
}
