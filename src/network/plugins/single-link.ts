/**
 * Plugins that give the container one interface and, unless told otherwise, addresses on it: macvlan, ipvlan, vlan, dummy, tap and
 * host-device differ in how the interface comes to be, and in nothing else.
 */
import { changeLink, deleteLink, findLink, type Link } from '../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { writeSysctl } from '../../kernel/sysctl.ts';
import type { Result, ResultInterface } from '../cni/types.ts';
import { failure, firstUnknownKey, type KnownKeys, protocolKeys } from './config.ts';
import { checkContainerLink, deleteContainerLink, requirePrevious } from './container-link.ts';
import { configure, enableIpv6 } from './container-interface.ts';
import { addAddresses, askIpam, inOrder } from './ipam.ts';
import { ipamType, mayHaveIpv6, ownDns } from './main-conf.ts';
import { doing, openIn, requireNetns } from './netns.ts';
import type { Plugin, PluginArgs, PluginContext } from './plugin.ts';
import { tryAll, type UndoList, withUndo } from './undo.ts';

export interface SingleLink<Conf> {
  readonly type: string;
  /** Keys beside those of the protocol, `ipam` and `runtimeConfig`. */
  readonly keys: KnownKeys;
  /** Whether there must be an IPAM plugin. */
  readonly ipam: 'required' | 'optional';
  /** Whose dns the result has: the network's own (be it none), as with most reference plugins, or that of IPAM. */
  readonly dns: 'own' | 'ipam';
  /** Sysctls below conf/<interface> that are set to 1 before it gets addresses. */
  readonly sysctls: readonly string[];
  /** Reads the configuration for ADD and CHECK. Throws CniError. */
  decode(args: PluginArgs): Conf;
  /**
   * Makes the interface in the container's namespace, under its final name, and registers how it goes away again. undefined when
   * there is none that the kernel knows of, and no address is to be set.
   */
  create(args: PluginArgs, conf: Conf, undo: UndoList): Link | undefined;
  /** Whether create makes no interface: then CHECK looks at none. */
  hasNoLink?(conf: Conf): boolean;
  /** CHECK: compares what the kind has of its own. */
  look(link: Link, conf: Conf, args: PluginArgs): void;
  /** DEL: by default the interface is deleted. */
  remove?(args: PluginArgs, context: PluginContext): void;
  readonly describe?: NonNullable<Plugin['describe']>;
  /** Addresses that it may be given without IPAM: those of the previous result, in a chain. */
  inherited?(args: PluginArgs): Result | undefined;
}

/** The plugin that makes such an interface. */
export function singleLinkPlugin<Conf>(kind: SingleLink<Conf>): Plugin {
  const keys = { ...protocolKeys, runtimeConfig: true, ipam: true, ...kind.keys } as const;
  return {
    type: kind.type,
    keys,
    unknownKey: (config) => firstUnknownKey(config, keys),
    // Its neighbours may have the address: the kernel takes its time to ask them.
    waits: mayHaveIpv6,
    add: (args, context) => add(kind, args, context),
    del: (args, context) =>
      tryAll(
        ...inOrder(
          args.config,
          () => (kind.remove ?? deleteContainerLink)(args, context),
          () => askIpam('DEL', args, context),
        ),
      ),
    check: (args, context) => check(kind, args, context),
    gc: (args, context) => askIpam('GC', args, context),
    status: (args, context) => askIpam('STATUS', args, context),
    ...(kind.describe === undefined ? {} : { describe: kind.describe }),
  };
}

function requireIpam<Conf>(kind: SingleLink<Conf>, args: PluginArgs): void {
  if (kind.ipam === 'required' && ipamType(args.config) === '' && kind.inherited?.(args) === undefined) {
    throw failure(`${kind.type} interface requires an IPAM configuration`);
  }
}

function add<Conf>(kind: SingleLink<Conf>, args: PluginArgs, context: PluginContext): Result {
  requireIpam(kind, args);
  const conf = kind.decode(args);
  const dns = ownDns(args.config);
  requireNetns(args.netns);
  return withUndo(context, (undo) => {
    const link = kind.create(args, conf, undo);
    const own: ResultInterface = {
      name: args.ifName,
      ...(link === undefined ? {} : { mac: link.mac }),
      sandbox: args.netns,
    };
    const addresses = addressesFor(kind, args, context, undo);
    if (link !== undefined) settle(kind, args, context, link, addresses);
    return {
      cniVersion: '1.1.0',
      interfaces: [own],
      ips: addresses?.ips ?? [],
      routes: addresses?.routes ?? [],
      dns: dns ?? (kind.dns === 'ipam' ? (addresses?.dns ?? {}) : {}),
    };
  });
}

/** What IPAM gives, or what was there before; undefined for an interface without addresses. */
function addressesFor<Conf>(
  kind: SingleLink<Conf>,
  args: PluginArgs,
  context: PluginContext,
  undo: UndoList,
): Result | undefined {
  const ipam = ipamType(args.config);
  const result = ipam === '' ? kind.inherited?.(args) : addAddresses(args, context, ipam, undo);
  return result === undefined
    ? undefined
    : { ...result, ips: result.ips.map((ip) => ({ ...ip, interface: 0 })) };
}

/** Addresses, up, routes; or just up. */
function settle<Conf>(
  kind: SingleLink<Conf>,
  args: PluginArgs,
  context: PluginContext,
  link: Link,
  addresses: Result | undefined,
): void {
  const ips = addresses?.ips ?? [];
  using socket = openIn(args.netns, () => {
    if (ips.length > 0) setQuietly(kind.sysctls, args.ifName);
    if (ips.some(({ address }) => address.includes(':'))) {
      enableIpv6(args.ifName, (line) => context.log(line));
    }
  });
  if (addresses === undefined) {
    doing(`failed to set "${args.ifName}" UP`, () => socket.request(changeLink(link.index, { up: true })));
  } else {
    configure({ socket, index: link.index, name: args.ifName }, ips, addresses.routes);
  }
}

/** A kernel without IPv6 has no such setting, and needs none. */
function setQuietly(sysctls: readonly string[], name: string): void {
  for (const sysctl of sysctls) {
    try {
      writeSysctl(`net/${sysctl.replace('IF', () => name)}`, '1');
    } catch {
      // As in the reference plugins.
    }
  }
}

function check<Conf>(kind: SingleLink<Conf>, args: PluginArgs, context: PluginContext): void {
  requireIpam(kind, args);
  const conf = kind.decode(args);
  requireNetns(args.netns);
  askIpam('CHECK', args, context);
  const previous = requirePrevious(args);
  if (kind.hasNoLink?.(conf) !== true) {
    checkContainerLink(args, previous, (link) => kind.look(link, conf, args));
  }
}

/** The new link of this name (the container's own by default) in the container; it goes away when a later step fails. */
export function madeLink(args: PluginArgs, socket: NetlinkSocket, undo: UndoList, name = args.ifName): Link {
  const link = findLink(socket, name);
  if (link === undefined) throw failure(`failed to refetch "${name}": Link not found`);
  undo.push(() => removeLink(args, link.index));
  return link;
}

function removeLink({ netns }: PluginArgs, index: number): void {
  using socket = openIn(netns);
  socket.request(deleteLink(index));
}

/** CHECK: the link is of this kind. */
export function requireKind(link: Link, kind: string): void {
  if (link.kind !== kind) throw failure(`Error: Container interface ${link.name} not of type ${kind}`);
}
