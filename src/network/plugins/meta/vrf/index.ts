/** vrf: the container's interface in a routing domain of its own. See README.md. */
import { AF_INET, AF_INET6 } from '../../../../kernel/libc.ts';
import { listAddresses, newAddress } from '../../../../kernel/netlink/addresses.ts';
import { vrfData, vrfTable } from '../../../../kernel/netlink/link-kinds.ts';
import {
  changeLink,
  deleteLink,
  findLink,
  type Link,
  listLinks,
  newLink,
} from '../../../../kernel/netlink/links.ts';
import {
  listRoutes,
  replaceRoute,
  RT_SCOPE_UNIVERSE,
  RTPROT_KERNEL,
  type Route,
  specOf,
} from '../../../../kernel/netlink/routes.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { isNamespace } from '../../../../kernel/thread-namespaces.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import type { Result } from '../../../cni/types.ts';
import {
  badValue,
  failure,
  firstUnknownKey,
  ifValid,
  integerAt,
  protocolKeys,
  stringAt,
} from '../../config.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { type UndoList, withUndo } from '../../undo.ts';

const keys = { ...protocolKeys, runtimeConfig: true, vrfname: true, table: true } as const;

export const vrf: Plugin = {
  type: 'vrf',
  since: '0.3.1',
  keys,
  unknownKey: (config) => firstUnknownKey(config, keys),
  add,
  del,
  check,
};

const MAX_TABLE = 0xffff_ffff;

interface VrfConf {
  readonly name: string;
  /** 0 for one that no other VRF has. */
  readonly table: number;
}

function parseConf(config: JsonObject): VrfConf {
  const name = stringAt(config, 'vrfname') ?? '';
  if (name === '') throw failure('configuration is expected to have a valid vrf name');
  const table = integerAt(config, 'table') ?? 0;
  if (table < 0 || table > MAX_TABLE) throw badValue('table', `${table} is no table`);
  return { name, table };
}

function add(args: PluginArgs, context: PluginContext): Result {
  const conf = parseConf(args.config);
  const { prevResult } = args;
  if (prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  requireNetns(args.netns);
  withUndo(context, (undo) => {
    using socket = openIn(args.netns);
    const master = findVrf(socket, conf.name) ?? createVrf(args, socket, conf, undo);
    const table = vrfTable(master) ?? 0;
    if (conf.table !== 0 && conf.table !== table) {
      throw failure(`VRF ${conf.name} already exist with different routing table ${table}`);
    }
    moveInto(socket, args.ifName, master, table);
  });
  return prevResult;
}

/** undefined when there is none. Throws when something else has the name. */
function findVrf(socket: NetlinkSocket, name: string): Link | undefined {
  const link = findLink(socket, name);
  if (link !== undefined && link.kind !== 'vrf') throw failure(`Netlink ${name} is not a VRF`);
  return link;
}

function createVrf(args: PluginArgs, socket: NetlinkSocket, { name, table }: VrfConf, undo: UndoList): Link {
  const data = vrfData(table === 0 ? freeTable(socket) : table);
  doing(`could not add VRF ${name}`, () => socket.request(newLink({ name, kind: 'vrf', data, up: true })));
  const made = findVrf(socket, name);
  if (made === undefined) throw failure(`could not find VRF ${name}`);
  undo.push(() => {
    using again = openIn(args.netns);
    again.request(deleteLink(made.index));
  });
  return made;
}

/** The first that no VRF of the namespace has. */
function freeTable(socket: NetlinkSocket): number {
  const taken = new Set(listLinks(socket).flatMap((link) => vrfTable(link) ?? []));
  let table = 1;
  while (taken.has(table)) table += 1;
  return table;
}

/**
 * The kernel takes an interface that changes its master down and up: IPv6 addresses go unless they are to be kept, and so do all
 * routes but its own. Both are put back, the routes into the VRF's table.
 */
function moveInto(socket: NetlinkSocket, ifName: string, master: Link, table: number): void {
  const link = requireFree(socket, ifName);
  const { index } = link;
  const addresses = (): string[] =>
    listAddresses(socket, { index, family: AF_INET6 })
      .filter(({ scope }) => scope === RT_SCOPE_UNIVERSE)
      .map(({ address }) => address);
  const before = addresses();
  const routes = routesToKeep(
    ([AF_INET, AF_INET6] as const).flatMap((family) => listRoutes(socket, { family, index })),
  );
  doing(`could not set vrf ${master.name} as master of ${ifName}`, () =>
    socket.request(changeLink(index, { master: master.index })),
  );
  const after = new Set(addresses());
  for (const address of before.filter((each) => !after.has(each))) {
    // Known to be unique, since it was here a moment ago: usable at once, for the routes that follow.
    doing(`could not restore address ${address} to ${ifName} @ ${master.name}`, () =>
      socket.request(newAddress({ index, address, nodad: true })),
    );
  }
  for (const route of routes) {
    doing(`could not add route '${route.destination}'`, () =>
      socket.request(replaceRoute({ ...specOf(route), table })),
    );
  }
}

function requireFree(socket: NetlinkSocket, ifName: string): Link {
  const link = findLink(socket, ifName);
  if (link === undefined) throw failure(`could not get link by name ${ifName}`);
  if (link.master === 0) return link;
  const master = findLink(socket, link.master)?.name ?? String(link.master);
  throw failure(`interface ${ifName} has already a master set: ${master}`);
}

/**
 * Those to be put back, in that order: local and connected routes the kernel makes anew by itself, and gateways may be reached by the
 * routes that have none.
 */
export function routesToKeep(routes: readonly Route[]): Route[] {
  const kept = routes.filter(({ protocol }) => protocol !== RTPROT_KERNEL);
  return kept.sort((a, b) => Number(a.gateway !== '') - Number(b.gateway !== ''));
}

/** Takes the interface out; the VRF goes with its last one. What has the name and is none is not ours. */
function del(args: PluginArgs, { hints }: PluginContext): void {
  const name = ifValid(() => stringAt(args.config, 'vrfname')) ?? '';
  if (name === '' || args.netns === '' || hints.namespaceEnds === true || !isNamespace(args.netns)) return;
  using socket = openIn(args.netns);
  const master = findLink(socket, name);
  if (master?.kind !== 'vrf') return;
  const link = findLink(socket, args.ifName);
  if (link?.master === master.index) {
    doing(`could not reset master of ${args.ifName}`, () =>
      socket.request(changeLink(link.index, { master: 0 })),
    );
  }
  if (listLinks(socket, { master: master.index }).length === 0) {
    doing(`failed to delete VRF ${name}`, () => socket.request(deleteLink(master.index)));
  }
}

function check(args: PluginArgs): void {
  const { name } = parseConf(args.config);
  if (args.prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  requireNetns(args.netns);
  using socket = openIn(args.netns);
  const master = findVrf(socket, name);
  if (master === undefined) throw failure(`VRF ${name} not found`);
  if (findLink(socket, args.ifName)?.master !== master.index) {
    throw failure(`failed to find ${args.ifName} associated to vrf ${name}`);
  }
}
