/** Interfaces that stand on another one, their master: macvlan, ipvlan and vlan. */
import { randomBytes } from 'node:crypto';
import { AF_INET, AF_INET6 } from '../../kernel/libc.ts';
import { changeLink, findLink, type Link, type LinkSpec, newLink } from '../../kernel/netlink/links.ts';
import { listRoutes } from '../../kernel/netlink/routes.ts';
import { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { Descriptors } from '../../kernel/thread-namespaces.ts';
import type { JsonObject } from '../../lib/json.ts';
import { badValue, booleanAt, failure, integerAt, type KnownKeys, stringAt } from './config.ts';
import { deviceFacts } from './device-facts.ts';
import type { PluginFacts } from './facts.ts';
import { doing, openIn } from './netns.ts';
import type { PluginArgs } from './plugin.ts';
import { madeLink } from './single-link.ts';
import type { UndoList } from './undo.ts';

export interface ParentConf {
  readonly master: Link;
  /** Whether the master is in the container's namespace. */
  readonly inContainer: boolean;
  /** 0 for that of the master. */
  readonly mtu: number;
}

export const parentKeys: KnownKeys = { master: true, mtu: true, linkInContainer: true };

/** Looks the master up. Without a name it is the link of the default route, when there is to be one (`orDefault`). */
export function parentOf(args: PluginArgs, named: string | undefined, orDefault: boolean): ParentConf {
  const inContainer = booleanAt(args.config, 'linkInContainer') ?? false;
  using socket = inContainer ? openIn(args.netns) : NetlinkSocket.open();
  const name = named || stringAt(args.config, 'master') || (orDefault ? defaultLink(socket) : '');
  const master = findLink(socket, name);
  if (master === undefined) throw failure(`failed to lookup master ${JSON.stringify(name)}: Link not found`);
  return { master, inContainer, mtu: mtuOf(args, master) };
}

/** For `berth net show`: the master, unless it is in the container. */
export function describeParent(config: JsonObject, orDefault: boolean): PluginFacts {
  if (booleanAt(config, 'linkInContainer') === true) return {};
  using host = NetlinkSocket.open();
  const name = stringAt(config, 'master') || (orDefault ? defaultLink(host) : '');
  return name === '' ? {} : { devices: [deviceFacts(host, name, 'parent')] };
}

function defaultLink(socket: NetlinkSocket): string {
  for (const [family, everything] of [
    [AF_INET, '0.0.0.0/0'],
    [AF_INET6, '::/0'],
  ] as const) {
    const route = listRoutes(socket, { family }).find(({ destination }) => destination === everything);
    const link = route === undefined ? undefined : findLink(socket, route.index);
    if (link !== undefined) return link.name;
  }
  throw failure('no default route interface found');
}

function mtuOf({ config }: PluginArgs, master: Link): number {
  const mtu = integerAt(config, 'mtu') ?? 0;
  if (mtu < 0 || mtu > master.mtu) {
    throw badValue('mtu', `invalid MTU ${mtu}, must be [0, master MTU(${master.mtu})]`);
  }
  return mtu;
}

/**
 * Makes a link above the master, in the container's namespace. Under a name that nothing has: kernels before 6.14 refuse a name that
 * an interface of the host has, though the link is to be elsewhere.
 */
export function createAbove(
  args: PluginArgs,
  { master, inContainer, mtu }: ParentConf,
  kind: { readonly kind: string; readonly data: Buffer; readonly mac?: string | undefined },
  undo: UndoList,
): Link {
  using container = openIn(args.netns);
  const name = `veth${randomBytes(4).toString('hex')}`;
  const spec = { ...kind, name, link: master.index, mtu: mtu === 0 ? undefined : mtu };
  doing(`failed to create ${kind.kind}`, () => {
    if (inContainer) container.request(newLink(spec));
    else createFromHost(args, spec);
  });
  const { index } = madeLink(args, container, undo, name);
  doing(`failed to rename ${kind.kind} to "${args.ifName}"`, () =>
    container.request(changeLink(index, { name: args.ifName })),
  );
  return findLink(container, index) ?? failNotFound(args);
}

function createFromHost(args: PluginArgs, spec: LinkSpec): void {
  using descriptors = new Descriptors();
  using host = NetlinkSocket.open();
  host.request(newLink({ ...spec, netnsFd: descriptors.open(args.netns) }));
}

function failNotFound({ ifName }: PluginArgs): never {
  throw failure(`failed to refetch "${ifName}": Link not found`);
}
