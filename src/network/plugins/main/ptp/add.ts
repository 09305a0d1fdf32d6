import { newAddress } from '../../../../kernel/netlink/addresses.ts';
import { deleteLink } from '../../../../kernel/netlink/links.ts';
import {
  deleteRoute,
  newRoute,
  replaceRoute,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
} from '../../../../kernel/netlink/routes.ts';
import { NetlinkSocket, type Request } from '../../../../kernel/netlink/socket.ts';
import { SyscallError } from '../../../../kernel/errno.ts';
import type { Result, ResultIp, ResultRoute } from '../../../cni/types.ts';
import { bits, formatAddress, formatCidr, networkOf, parseCidr } from '../../address.ts';
import { badValue, failure, integerAt } from '../../config.ts';
import { configure, enableIpv6, trustAddresses } from '../../container-interface.ts';
import { enableForwarding } from '../../forwarding.ts';
import { masquerade, unmasquerade } from '../../ip-masq.ts';
import { addAddresses } from '../../ipam.ts';
import { ipamType, ipMasqOf, ownDns } from '../../main-conf.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { withUndo } from '../../undo.ts';
import { createVeth, ownRoutes, type VethPair } from '../../veth.ts';

/** An address of the container, taken apart. */
interface PtpAddress {
  /** `10.1.2.3`, and with all of its bits as prefix. */
  readonly ip: string;
  readonly host: string;
  /** `10.1.2.0/24`. */
  readonly network: string;
  readonly gateway: string;
  /** The gateway with all of its bits as prefix. */
  readonly gatewayHost: string;
}

/** Connects the container to the host. What was made for it is undone when a later step fails. */
export function add(args: PluginArgs, context: PluginContext): Result {
  const mtu = integerAt(args.config, 'mtu') ?? 0;
  if (mtu < 0) throw badValue('mtu', `${mtu} is less than 0`);
  const ipam = ipamType(args.config);
  if (ipam === '') throw failure('ptp needs an IPAM plugin: "ipam.type" is missing');
  const how = ipMasqOf(args.config);
  const dns = ownDns(args.config);
  requireNetns(args.netns);
  using host = NetlinkSocket.open();
  return withUndo(context, (undo) => {
    const given = addAddresses(args, context, ipam, undo);
    const addresses = given.ips.map(takeApart);
    enableForwarding(addresses.map(({ ip }) => ip));
    const veth = createVeth(host, args, { mtu });
    undo.push(() => host.request(deleteLink(veth.host.index)));
    ownRoutes(veth.host.name);
    const ips = given.ips.map((ip): ResultIp => ({ ...ip, interface: 1 }));
    configureContainer(args, context, veth, { ips, routes: given.routes, addresses });
    configureHost(host, veth, addresses);
    if (how !== undefined) {
      const masqueraded = given.ips.map(({ address }) => address);
      undo.push(() => unmasquerade(args));
      masquerade(args, how, masqueraded);
    }
    const interfaces = [
      { name: veth.host.name, mac: veth.host.mac },
      { name: args.ifName, mac: veth.container.mac, sandbox: args.netns },
    ];
    return { cniVersion: '1.1.0', interfaces, ips, routes: given.routes, dns: dns ?? given.dns };
  });
}

function isIpv6({ ip }: PtpAddress): boolean {
  return ip.includes(':');
}

function takeApart({ address, gateway }: ResultIp): PtpAddress {
  const cidr = parseCidr(address);
  if (cidr === undefined) {
    throw failure(`IPAM plugin returned an address that is none: ${JSON.stringify(address)}`);
  }
  if (gateway === undefined) throw failure(`IPAM plugin returned no gateway for ${address}`);
  const all = bits(cidr.address.family);
  const ip = formatAddress(cidr.address);
  return {
    ip,
    host: `${ip}/${all}`,
    network: formatCidr({ address: networkOf(cidr), prefix: cidr.prefix }),
    gateway,
    gatewayHost: `${gateway}/${all}`,
  };
}

function configureContainer(
  args: PluginArgs,
  context: PluginContext,
  veth: VethPair,
  what: {
    readonly ips: readonly ResultIp[];
    readonly routes: readonly ResultRoute[];
    readonly addresses: readonly PtpAddress[];
  },
): void {
  using socket = openIn(args.netns, () => {
    if (what.addresses.some(isIpv6)) {
      // The only neighbour is our own end.
      trustAddresses(args.ifName);
      enableIpv6(args.ifName, (line) => context.log(line));
    }
  });
  const { index } = veth.container;
  configure({ socket, index, name: args.ifName }, what.ips, what.routes);
  for (const address of what.addresses) routeThroughGateway(socket, index, address);
}

/**
 * The network of the address is not on the link, as the kernel thinks: all of it is reached through the gateway, and only that one
 * directly. There is no point-to-point veth, and an address without its network would have no gateway.
 */
function routeThroughGateway(socket: NetlinkSocket, index: number, address: PtpAddress): void {
  const { ip: source, network, gateway, gatewayHost } = address;
  doing(`failed to delete route ${network}`, () =>
    socket.request(deleteRoute({ destination: network, index, scope: RT_SCOPE_NOWHERE })),
  );
  const direct = newRoute({ destination: gatewayHost, index, scope: RT_SCOPE_LINK, source });
  const through = newRoute({ destination: network, index, gateway, source });
  doing(`failed to add route ${gatewayHost}`, () => socket.request(direct));
  doing(`failed to add route ${network} via ${gateway}`, () => socket.request(through));
}

function configureHost(host: NetlinkSocket, veth: VethPair, addresses: readonly PtpAddress[]): void {
  const { index, name } = veth.host;
  // Or else it would not answer the container's first packets.
  if (addresses.some(isIpv6)) trustAddresses(name);
  for (const { host: destination, gatewayHost } of addresses) {
    doing(`failed to add IP addr ${gatewayHost} to "${name}"`, () =>
      unlessPresent(host, newAddress({ index, address: gatewayHost })),
    );
    // One that leads elsewhere is of a pod that had the address before: it would go with that pod's link.
    doing('failed to add route on host', () =>
      host.request(replaceRoute({ destination, index, scope: RT_SCOPE_HOST })),
    );
  }
}

/** Two addresses may have one gateway. */
function unlessPresent(socket: NetlinkSocket, request: Request): void {
  try {
    socket.request(request);
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === 'EEXIST')) throw error;
  }
}
