/** sbr: what is sent from an address takes the routes of its own interface. See README.md. */
import { SyscallError } from '../../../../kernel/errno.ts';
import { AF_INET, AF_INET6 } from '../../../../kernel/libc.ts';
import { listAddresses } from '../../../../kernel/netlink/addresses.ts';
import { findLink } from '../../../../kernel/netlink/links.ts';
import {
  deleteRoute,
  listRoutes,
  newRoute,
  replaceRoute,
  type Route,
  specOf,
} from '../../../../kernel/netlink/routes.ts';
import { deleteRule, listRules, newRule } from '../../../../kernel/netlink/rules.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { isNamespace } from '../../../../kernel/thread-namespaces.ts';
import type { Result, ResultIp } from '../../../cni/types.ts';
import { type Cidr, bits, formatAddress, inNetwork, parseAddress, parseCidr } from '../../address.ts';
import { badValue, failure, firstUnknownKey, ifValid, integerAt, protocolKeys } from '../../config.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { type UndoList, withUndo } from '../../undo.ts';
import { withFileLock } from '../../namespace-lock.ts';

const keys = { ...protocolKeys, runtimeConfig: true, table: true } as const;

export const sbr: Plugin = {
  type: 'sbr',
  keys,
  unknownKey: (config) => firstUnknownKey(config, keys),
  add,
  del,
  check,
};

/** The tables from this one on are looked through for one that nothing uses. */
const FIRST_TABLE = 100;
const MAX_TABLE = 0xffff_ffff;
const FAMILIES = [AF_INET, AF_INET6] as const;

/** An address of the interface, as rules and routes name it. */
interface Source {
  readonly cidr: Cidr;
  /** With all of its bits as prefix. */
  readonly host: string;
  readonly gateway: string | undefined;
}

function add(args: PluginArgs, context: PluginContext): Result {
  const { prevResult } = args;
  const table = tableOf(args);
  if (prevResult === undefined) throw failure('This plugin must be called as chained plugin');
  const sources = sourcesOf(args, prevResult);
  requireNetns(args.netns);
  withFileLock(args.netns, () =>
    withUndo(context, (undo) => {
      using socket = openIn(args.netns);
      if (table === undefined) moveRoutes(socket, args, sources, undo);
      else for (const { host } of sources) addRule(args, socket, host, table, undo);
    }),
  );
  return prevResult;
}

function tableOf({ config }: PluginArgs): number | undefined {
  const table = integerAt(config, 'table');
  if (table !== undefined && (table < 0 || table > MAX_TABLE))
    throw badValue('table', `${table} is no table`);
  return table;
}

/** The addresses of the container's interface; one that names no interface counts. */
function sourcesOf({ ifName }: PluginArgs, { ips, interfaces }: Result): Source[] {
  if (ips.length === 0) throw failure(`No IP addresses supplied on interface: ${ifName}`);
  return ips
    .filter((ip) => nameOf(ip, interfaces) === undefined || nameOf(ip, interfaces) === ifName)
    .map(sourceOf);
}

function nameOf({ interface: index }: ResultIp, interfaces: Result['interfaces']): string | undefined {
  return index === undefined ? undefined : interfaces[index]?.name;
}

function sourceOf({ address, gateway }: ResultIp): Source {
  const cidr = parseCidr(address);
  if (cidr === undefined) throw failure(`prevResult has an address that is none: ${JSON.stringify(address)}`);
  return { cidr, host: `${formatAddress(cidr.address)}/${bits(cidr.address.family)}`, gateway };
}

function addRule(
  args: PluginArgs,
  socket: NetlinkSocket,
  source: string,
  table: number,
  undo: UndoList,
): void {
  doing('Failed to add rule', () => socket.request(newRule({ source, table })));
  undo.push(() => {
    using again = openIn(args.netns);
    again.request(deleteRule({ source, table }));
  });
}

/**
 * A table for each address: a rule leads to it, and in it are a default route by the address's gateway and the routes of the interface
 * that go by its network. They then leave the main table, where they were in the way of other interfaces'.
 */
function moveRoutes(
  socket: NetlinkSocket,
  args: PluginArgs,
  sources: readonly Source[],
  undo: UndoList,
): void {
  const index = findLink(socket, args.ifName)?.index;
  if (index === undefined) throw failure(`Cannot find network interface ${args.ifName}: Link not found`);
  const routes = FAMILIES.flatMap((family) => listRoutes(socket, { family, index }));
  const isTaken = takenTables(socket);
  let table = FIRST_TABLE - 1;
  for (const source of sources) {
    do table += 1;
    while (isTaken(table));
    addRule(args, socket, source.host, table, undo);
    if (source.gateway !== undefined) addDefault(socket, index, source.gateway, table);
    for (const route of routes.filter((each) => isOf(each, source))) {
      doing('Failed to readd route', () => socket.request(replaceRoute({ ...specOf(route), table })));
    }
  }
  for (const route of routes) removeRoute(socket, route);
}

function takenTables(socket: NetlinkSocket): (table: number) => boolean {
  const taken = new Set(
    FAMILIES.flatMap((family) => [
      ...listRules(socket, family).map(({ table }) => table),
      ...listRoutes(socket, { family, table: 0 }).map(({ table }) => table),
    ]),
  );
  return (table) => taken.has(table);
}

function addDefault(socket: NetlinkSocket, index: number, gateway: string, table: number): void {
  const destination = gateway.includes(':') ? '::/0' : '0.0.0.0/0';
  doing(`Failed to add default route to ${gateway}`, () =>
    socket.request(newRoute({ destination, index, gateway, table })),
  );
}

/** Routes without source and gateway are everybody's, of the other family too: as in the reference plugin. */
function isOf({ source, gateway }: Route, { cidr }: Source): boolean {
  if (source === '' && gateway === '') return true;
  return [source, gateway].some((text) => {
    const address = parseAddress(text);
    return address !== undefined && inNetwork(address, cidr);
  });
}

/** The kernel removes some by itself, once those that they depend on are gone. */
function removeRoute(socket: NetlinkSocket, route: Route): void {
  try {
    socket.request(deleteRoute(specOf(route)));
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === 'ESRCH')) {
      doing('Failed to delete route', () => {
        throw error;
      });
    }
  }
}

/** Removes the rules of the interface's addresses, in all tables or in the configured one. Routes go with the interface. */
function del(args: PluginArgs): void {
  const tables = ifValid(() => ({ only: tableOf(args) }));
  if (tables === undefined || args.netns === '' || !isNamespace(args.netns)) return;
  withFileLock(args.netns, () => {
    using socket = openIn(args.netns);
    const link = findLink(socket, args.ifName);
    if (link === undefined) return;
    const own = new Set(listAddresses(socket, { index: link.index }).map(({ address }) => hostOf(address)));
    const rules = FAMILIES.flatMap((family) => listRules(socket, family)).filter(
      (rule) => own.has(rule.source) && (tables.only === undefined || rule.table === tables.only),
    );
    for (const rule of rules) doing('Failed to delete rule', () => socket.request(deleteRule(rule)));
  });
}

function hostOf(address: string): string {
  return address.replace(/\/.*/, address.includes(':') ? '/128' : '/32');
}

/** Each address of the interface has its rule. The reference plugin looks at nothing. */
function check(args: PluginArgs): void {
  const { prevResult } = args;
  const table = tableOf(args);
  if (prevResult === undefined) throw failure('Required prevResult missing');
  requireNetns(args.netns);
  using socket = openIn(args.netns);
  const rules = FAMILIES.flatMap((family) => listRules(socket, family));
  for (const { host } of sourcesOf(args, prevResult)) {
    const found = rules.some((rule) => rule.source === host && (table ?? rule.table) === rule.table);
    if (!found) throw failure(`rule for source ${host} not found`);
  }
}
