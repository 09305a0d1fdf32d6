/** tap: a device that a process in the container, such as a virtual machine, attaches to. See README.md. */
import { existsSync } from 'node:fs';
import { changeLink, findLink, type Link } from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { createLabelledTap, createTap } from '../../../../kernel/tap.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import { badValue, booleanAt, failure, integerAt, stringAt } from '../../config.ts';
import { canonicalMac, macOfArgs, macOfRuntime } from '../../main-conf.ts';
import { doing, kernelFailure, openIn } from '../../netns.ts';
import type { PluginArgs } from '../../plugin.ts';
import { madeLink, requireKind, singleLinkPlugin } from '../../single-link.ts';
import type { UndoList } from '../../undo.ts';

interface TapConf {
  readonly multiQueue: boolean;
  readonly mtu: number;
  readonly mac: string | undefined;
  readonly owner: number | undefined;
  readonly group: number | undefined;
  /** '' for the daemon's own. */
  readonly selinuxContext: string;
  /** A bridge in the container's namespace; '' for none. */
  readonly bridge: string;
}

export const tap = singleLinkPlugin<TapConf>({
  type: 'tap',
  keys: {
    multiQueue: true,
    mtu: true,
    mac: true,
    owner: true,
    group: true,
    selinuxContext: true,
    bridge: true,
  },
  ipam: 'optional',
  dns: 'own',
  sysctls: ['ipv4/conf/IF/arp_notify'],
  decode,
  create,
  look: (link) => requireKind(link, 'tun'),
});

function decode({ config, args }: PluginArgs): TapConf {
  const mac = macOfRuntime(config) ?? macOfArgs(args) ?? (stringAt(config, 'mac') || undefined);
  const mtu = integerAt(config, 'mtu') ?? 0;
  if (mtu < 0) throw badValue('mtu', `${mtu} is less than 0`);
  return {
    multiQueue: booleanAt(config, 'multiQueue') ?? false,
    mtu,
    mac: mac === undefined ? undefined : canonicalMac(mac, `invalid args ${mac} for MAC addr`),
    owner: idAt(config, 'owner'),
    group: idAt(config, 'group'),
    selinuxContext: stringAt(config, 'selinuxContext') ?? '',
    bridge: stringAt(config, 'bridge') ?? '',
  };
}

function idAt(config: JsonObject, name: string): number | undefined {
  const id = integerAt(config, name);
  if (id !== undefined && (id < 0 || id > 0xffff_ffff)) throw badValue(name, `${id} is no id`);
  return id;
}

function create(args: PluginArgs, conf: TapConf, undo: UndoList): Link {
  using socket = openIn(args.netns, () => make(args, conf));
  const made = madeLink(args, socket, undo);
  const master = bridgeIndex(socket, conf.bridge);
  doing(`failed to set up tap "${args.ifName}"`, () =>
    socket.request(
      changeLink(made.index, {
        ...(conf.mac === undefined ? {} : { mac: conf.mac }),
        ...(conf.mtu === 0 ? {} : { mtu: conf.mtu }),
        ...(master === undefined ? {} : { master }),
        up: true,
      }),
    ),
  );
  return findLink(socket, made.index) ?? made;
}

/** Asked for a name that is taken by a tap device, the kernel would attach us to that one. */
function make({ ifName }: PluginArgs, { multiQueue, owner, group, selinuxContext }: TapConf): void {
  if (existsSync(`/proc/sys/net/ipv4/conf/${ifName}`)) {
    throw failure(`failed to create tap: ${JSON.stringify(ifName)} already exists`);
  }
  try {
    const spec = { name: ifName, multiQueue, owner, group };
    if (selinuxContext === '') createTap(spec);
    else createLabelledTap(spec, selinuxContext);
  } catch (error) {
    throw kernelFailure('failed to create tap', error);
  }
}

function bridgeIndex(socket: NetlinkSocket, name: string): number | undefined {
  if (name === '') return undefined;
  const bridge = findLink(socket, name);
  if (bridge === undefined) throw failure(`failed to get bridge ${name}: Link not found`);
  return bridge.index;
}
