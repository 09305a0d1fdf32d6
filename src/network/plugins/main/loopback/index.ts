import { listAddresses } from '../../../../kernel/netlink/addresses.ts';
import { changeLink, findLink, Iff, LOOPBACK_INDEX } from '../../../../kernel/netlink/links.ts';
import { isNamespace } from '../../../../kernel/thread-namespaces.ts';
import { type Result, type ResultIp } from '../../../cni/types.ts';
import { failure, firstUnknownKey, protocolKeys } from '../../config.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { Plugin, PluginArgs } from '../../plugin.ts';

const knownKeys = { ...protocolKeys, ipam: true, runtimeConfig: true } as const;

/** The loopback interface of a container, whatever CNI_IFNAME says. */
export const loopback: Plugin = {
  type: 'loopback',
  keys: knownKeys,
  unknownKey: (config) => firstUnknownKey(config, knownKeys),
  add,
  del,
  check,
};

function add(args: PluginArgs): Result {
  requireNetns(args.netns);
  const ips = bringUp(args.netns);
  if (args.prevResult !== undefined) {
    return args.prevResult;
  }
  const lo = { name: 'lo', mac: '00:00:00:00:00:00', sandbox: args.netns };
  return { cniVersion: '1.1.0', interfaces: [lo], ips, routes: [], dns: {} };
}

/** The first address of each family that the interface has once it is up. */
function bringUp(netns: string): ResultIp[] {
  using socket = openIn(netns);
  doing('failed to set "lo" up', () => socket.request(changeLink(LOOPBACK_INDEX, { up: true })));
  const addresses = listAddresses(socket, { index: LOOPBACK_INDEX }).map(({ address }) => address);
  const stranger = addresses.find((address) => !isLoopback(address));
  if (stranger !== undefined) {
    const [ip = ''] = stranger.split('/');
    throw failure(`loopback interface found with non-loopback address "${ip}"`);
  }
  const v4 = addresses.find((address) => !address.includes(':'));
  const v6 = addresses.find((address) => address.includes(':'));
  return [v4, v6].flatMap((address) => (address === undefined ? [] : [{ interface: 0, address }]));
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address.startsWith('::1/');
}

function del(args: PluginArgs, { hints }: Parameters<Plugin['del']>[1]): void {
  if (args.netns === '' || hints.namespaceEnds === true || !isNamespace(args.netns)) {
    return;
  }
  using socket = openIn(args.netns);
  doing('failed to set "lo" down', () => socket.request(changeLink(LOOPBACK_INDEX, { up: false })));
}

function check(args: PluginArgs): void {
  requireNetns(args.netns);
  using socket = openIn(args.netns);
  const lo = findLink(socket, LOOPBACK_INDEX);
  if (lo === undefined || (lo.flags & Iff.UP) === 0) {
    throw failure('loopback interface is down');
  }
}
