import { changeLink, deleteLink, type Link } from '../../../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { writeSysctl } from '../../../../kernel/sysctl.ts';
import type { Result, ResultInterface } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import { configure, enableIpv6 } from '../../container-interface.ts';
import { masquerade, unmasquerade } from '../../ip-masq.ts';
import { addAddresses } from '../../ipam.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { type UndoList, withUndo } from '../../undo.ts';
import { createVeth, ownRoutes, type VethPair } from '../../veth.ts';
import { ensureBridge, ensureGateways, findBridge } from './bridge-link.ts';
import { type BridgeConf, decode } from './conf.ts';
import { type GatewayPlan, planGateways } from './gateways.ts';
import { configurePort, otherPorts, waitForPort } from './port.ts';
import { setUpSpoofCheck, tearDownSpoofCheck } from './spoof-check.ts';
import { ensureVlanInterface } from './vlans.ts';

/**
 * Connects the container to the bridge. What was made for it is undone when a later step fails; the bridge stays, as
 * other containers may have come to it meanwhile.
 */
export function add(args: PluginArgs, context: PluginContext): Result {
  const conf = decode(args);
  requireNetns(args.netns);
  using host = NetlinkSocket.open();
  return withUndo(context, (undo) => connect(host, args, context, conf, undo));
}

function connect(
  host: NetlinkSocket,
  args: PluginArgs,
  context: PluginContext,
  conf: BridgeConf,
  undo: UndoList,
): Result {
  const bridge = ensureBridge(host, conf);
  const veth = createVeth(host, args, { mac: conf.mac, mtu: conf.mtu, master: bridge.index });
  undo.push(() => host.request(deleteLink(veth.host.index)));
  ownRoutes(veth.host.name);
  configurePort(host, veth.host, conf);
  if (conf.macSpoofCheck) {
    undo.push(() => tearDownSpoofCheck(args));
    setUpSpoofCheck(args, veth.host.name, veth.container.mac);
  }
  if (conf.ipam === '') {
    if (!conf.disableContainerInterface) bringUp(args, veth);
    return result(args, conf, readInterfaces(host, conf, veth), { ips: [], routes: [], dns: {} });
  }
  const ipam = addAddresses(args, context, conf.ipam, undo);
  const plan = planGateways(ipam, conf);
  configureContainer(args, context, conf, veth, plan);
  const holder = gatewayHolder(host, bridge, conf, plan);
  ensureGateways(host, holder, plan.onBridge, {
    force: conf.forceAddress,
    users: () => otherPorts(host, { bridge, holder, port: veth.host }, conf),
    cacheDir: context.hints.cacheDir,
  });
  const { ipMasq: how } = conf;
  if (how !== undefined) {
    const ips = plan.ips.map(({ address }) => address);
    undo.push(() => unmasquerade(args));
    masquerade(args, how, ips);
  }
  const more = holder === bridge ? [] : [{ name: holder.name, mac: holder.mac }];
  return result(args, conf, readInterfaces(host, conf, veth), { ...ipam, ...plan }, more);
}

/** What the gateways' addresses are set on: the bridge, or its interface in the VLAN. */
function gatewayHolder(
  host: NetlinkSocket,
  bridge: Link,
  { vlan }: BridgeConf,
  { onBridge }: GatewayPlan,
): Link {
  return vlan.id === 0 || onBridge.length === 0 ? bridge : ensureVlanInterface(host, bridge, vlan);
}

function configureContainer(
  args: PluginArgs,
  context: PluginContext,
  conf: BridgeConf,
  veth: VethPair,
  plan: GatewayPlan,
): void {
  using socket = openIn(args.netns, () => {
    prepareInterface(args.ifName, conf);
    if (plan.ips.some(({ address }) => address.includes(':'))) {
      enableIpv6(args.ifName, (line) => context.log(line));
    }
  });
  configure({ socket, index: veth.container.index, name: args.ifName }, plan.ips, plan.routes);
}

/** A network without addresses: all that is left to do in the container. */
function bringUp(args: PluginArgs, veth: VethPair): void {
  using socket = openIn(args.netns);
  doing(`failed to set "${args.ifName}" up`, () =>
    socket.request(changeLink(veth.container.index, { up: true })),
  );
}

/** Addresses are known to be unique, so no time is spent on finding out; neighbours are told of the new address at once. */
function prepareInterface(name: string, conf: BridgeConf): void {
  const settings: (readonly [string, string])[] = [
    ['ipv6/conf/IF/accept_dad', conf.enableDad ? '1' : '0'],
    ['ipv4/conf/IF/arp_notify', '1'],
  ];
  if (conf.enableDad) {
    settings.push(['ipv6/conf/IF/enhanced_dad', '1']);
  }
  for (const [setting, value] of settings) {
    try {
      writeSysctl(`net/${setting.replace('IF', () => name)}`, value);
    } catch {
      // A kernel without IPv6 has no such setting, and needs none.
    }
  }
}

/** The result's interfaces, read when all is done: their hardware addresses may have changed. */
function readInterfaces(
  host: NetlinkSocket,
  conf: BridgeConf,
  veth: VethPair,
): { bridge: Link; port: Link; veth: VethPair } {
  const port = conf.disableContainerInterface ? veth.host : waitForPort(host, veth.host.index);
  const bridge = findBridge(host, conf.bridge);
  if (bridge === undefined) {
    throw failure(`could not lookup "${conf.bridge}": Link not found`);
  }
  return { bridge, port, veth };
}

function result(
  args: PluginArgs,
  conf: BridgeConf,
  { bridge, port, veth }: ReturnType<typeof readInterfaces>,
  addresses: Pick<Result, 'ips' | 'routes' | 'dns'>,
  more: readonly ResultInterface[] = [],
): Result {
  const interfaces: ResultInterface[] = [
    { name: bridge.name, mac: bridge.mac },
    { name: port.name, mac: port.mac },
    { name: args.ifName, mac: veth.container.mac, sandbox: args.netns },
    ...more,
  ];
  const { ips, routes, dns } = addresses;
  return { cniVersion: '1.1.0', interfaces, ips, routes, dns: conf.dns ?? dns };
}
