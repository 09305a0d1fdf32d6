import { findLink, type Link } from '../../../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import type { Result, ResultInterface } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import { checkAddresses, checkRoutes } from '../../container-interface.ts';
import { openIn, requireNetns } from '../../netns.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { type BridgeConf, decode } from './conf.ts';

/** Compares the container's connection with what ADD reported. */
export function check(args: PluginArgs, context: PluginContext): void {
  const conf = decode(args);
  requireNetns(args.netns);
  if (conf.ipam !== '') {
    context.delegate(conf.ipam, 'CHECK', args);
  }
  if (args.prevResult === undefined) {
    throw failure('Required prevResult missing');
  }
  using host = NetlinkSocket.open();
  using container = openIn(args.netns);
  const expected = expectedInterfaces(args, conf, args.prevResult);
  const bridge = checkBridge(host, conf, expected.bridge);
  const inside = checkContainer(container, args, expected.container);
  checkPort(host, conf, bridge, inside, expected.others);
  checkAddresses({ socket: container, index: inside.index, name: args.ifName }, args.prevResult.ips);
  checkRoutes(container, args.prevResult.routes);
}

interface Expected {
  readonly bridge: ResultInterface | undefined;
  readonly container: ResultInterface | undefined;
  readonly others: readonly ResultInterface[];
}

function expectedInterfaces(args: PluginArgs, conf: BridgeConf, { interfaces }: Result): Expected {
  const isBridge = ({ name }: ResultInterface): boolean => name === conf.bridge;
  const isContainer = ({ name, sandbox }: ResultInterface): boolean =>
    name === args.ifName && sandbox === args.netns;
  return {
    bridge: interfaces.find(isBridge),
    container: interfaces.find((each) => !isBridge(each) && isContainer(each)),
    others: interfaces.filter(({ name }) => name !== conf.bridge && name !== args.ifName),
  };
}

function existing(socket: NetlinkSocket, expected: ResultInterface | undefined): Link {
  if (expected === undefined || expected.name === '') {
    throw failure('Interface name missing ');
  }
  const link = findLink(socket, expected.name);
  if (link === undefined) {
    throw failure(`Interface name ${expected.name} not found`);
  }
  return link;
}

function checkBridge(host: NetlinkSocket, conf: BridgeConf, expected: ResultInterface | undefined): Link {
  const link = existing(host, expected);
  const { name } = link;
  if ((expected?.sandbox ?? '') !== '') {
    throw failure(`Interface ${name} should not be in sandbox`);
  }
  if (link.kind !== 'bridge') {
    throw failure(`Interface ${name} does not have link type of bridge`);
  }
  if (!sameMac(expected, link)) {
    throw failure(`Bridge interface ${name} Mac doesn't match: ${expected?.mac ?? ''}`);
  }
  const promiscuous = link.promiscuity !== 0;
  if (promiscuous !== conf.promiscMode) {
    const state = `configured Promisc Mode ${conf.promiscMode} doesn't match current state: ${promiscuous} `;
    throw failure(`Bridge interface ${name} ${state}`);
  }
  return link;
}

function checkContainer(
  container: NetlinkSocket,
  args: PluginArgs,
  expected: ResultInterface | undefined,
): Link {
  if (expected === undefined) {
    throw failure(`Sandbox in prevResult  doesn't match configured netns: ${args.netns}`);
  }
  const link = existing(container, expected);
  if (link.kind !== 'veth') {
    throw failure(`Error: Container interface ${link.name} not of type veth`);
  }
  if (!sameMac(expected, link)) {
    throw failure(
      `Interface ${link.name} Mac ${expected.mac ?? ''} doesn't match container Mac: ${link.mac}`,
    );
  }
  return link;
}

/** One of the other interfaces must be the host's end: the container's peer, and a port of the bridge. */
function checkPort(
  host: NetlinkSocket,
  conf: BridgeConf,
  bridge: Link,
  inside: Link,
  others: readonly ResultInterface[],
): void {
  for (const expected of others) {
    if ((expected.sandbox ?? '') !== '') {
      throw failure(`Interface ${expected.name} should not be in sandbox`);
    }
    const link = existing(host, expected);
    const isPeer = link.kind === 'veth' && link.index === inside.peer && link.peer === inside.index;
    if (!isPeer || link.master !== bridge.index) {
      continue;
    }
    if (!sameMac(expected, link)) {
      throw failure(`Interface ${link.name} Mac doesn't match: ${expected.mac ?? ''} not found`);
    }
    return;
  }
  throw failure(`CNI veth created for bridge ${conf.bridge} was not found`);
}

function sameMac(expected: ResultInterface | undefined, link: Link): boolean {
  const mac = expected?.mac ?? '';
  return mac === '' || mac.toLowerCase() === link.mac;
}
