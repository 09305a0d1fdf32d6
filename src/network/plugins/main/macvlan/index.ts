/** macvlan: an interface with a hardware address of its own on an interface of the host. See README.md. */
import { macvlanData, macvlanMode, type MacvlanMode } from '../../../../kernel/netlink/link-kinds.ts';
import type { Link } from '../../../../kernel/netlink/links.ts';
import { badValue, failure, integerAt, stringAt } from '../../config.ts';
import { canonicalMac, macOfArgs, macOfRuntime } from '../../main-conf.ts';
import { createAbove, describeParent, parentKeys, parentOf, type ParentConf } from '../../parent-link.ts';
import type { PluginArgs } from '../../plugin.ts';
import { requireKind, singleLinkPlugin } from '../../single-link.ts';
import type { UndoList } from '../../undo.ts';

interface MacvlanConf {
  readonly parent: ParentConf;
  readonly mode: MacvlanMode;
  readonly mac: string | undefined;
  /** undefined for the kernel's own length. */
  readonly broadcastQueue: number | undefined;
}

export const macvlan = singleLinkPlugin<MacvlanConf>({
  type: 'macvlan',
  keys: { ...parentKeys, mode: true, mac: true, bcqueuelen: true },
  ipam: 'optional',
  dns: 'own',
  sysctls: ['ipv4/conf/IF/arp_notify', 'ipv6/conf/IF/ndisc_notify'],
  decode,
  create,
  look,
  describe: (config) => describeParent(config, true),
});

const modes: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru'];

function decode(args: PluginArgs): MacvlanConf {
  const { config } = args;
  const wanted = stringAt(config, 'mode') || 'bridge';
  const mode = modes.find((each) => each === wanted);
  if (mode === undefined) throw failure(`unknown macvlan mode: ${JSON.stringify(wanted)}`);
  const mac = macOfRuntime(config) ?? macOfArgs(args.args) ?? (stringAt(config, 'mac') || undefined);
  const queue = integerAt(config, 'bcqueuelen') ?? 0;
  if (queue < 0 || queue > 0xffff_ffff) throw badValue('bcqueuelen', `${queue} is no length`);
  return {
    parent: parentOf(args, undefined, true),
    mode,
    mac: mac === undefined ? undefined : canonicalMac(mac, `invalid args ${mac} for MAC addr`),
    broadcastQueue: queue === 0 ? undefined : queue,
  };
}

function create(args: PluginArgs, { parent, mode, mac, broadcastQueue }: MacvlanConf, undo: UndoList): Link {
  const data = macvlanData({ mode, broadcastQueue });
  return createAbove(args, parent, { kind: 'macvlan', data, mac }, undo);
}

function look(link: Link, { mode }: MacvlanConf): void {
  requireKind(link, 'macvlan');
  const current = macvlanMode(link);
  if (current !== mode) {
    throw failure(`container macvlan mode ${current} does not match expected value: ${mode}`);
  }
}
