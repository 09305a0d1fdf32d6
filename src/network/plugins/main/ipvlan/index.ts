/** ipvlan: an interface that shares the hardware address of an interface of the host. See README.md. */
import { ipvlanData, ipvlanMode, type IpvlanMode } from '../../../../kernel/netlink/link-kinds.ts';
import type { Link } from '../../../../kernel/netlink/links.ts';
import type { Result } from '../../../cni/types.ts';
import { failure, stringAt } from '../../config.ts';
import { ipamType } from '../../main-conf.ts';
import { createAbove, describeParent, parentKeys, parentOf, type ParentConf } from '../../parent-link.ts';
import type { PluginArgs } from '../../plugin.ts';
import { requireKind, singleLinkPlugin } from '../../single-link.ts';
import type { UndoList } from '../../undo.ts';

interface IpvlanConf {
  /** Looked up when it is needed: a CHECK is told of no master. */
  readonly parent: () => ParentConf;
  readonly mode: IpvlanMode;
}

export const ipvlan = singleLinkPlugin<IpvlanConf>({
  type: 'ipvlan',
  keys: { ...parentKeys, mode: true },
  ipam: 'required',
  dns: 'own',
  sysctls: ['ipv4/conf/IF/arp_notify', 'ipv6/conf/IF/ndisc_notify'],
  decode,
  create,
  look,
  inherited,
  describe: (config) => (ipamType(config) === '' ? {} : describeParent(config, true)),
});

const modes: readonly IpvlanMode[] = ['l2', 'l3', 'l3s'];

function decode(args: PluginArgs): IpvlanConf {
  const wanted = stringAt(args.config, 'mode') || 'l2';
  const mode = modes.find((each) => each === wanted);
  if (mode === undefined) throw failure(`unknown ipvlan mode: ${JSON.stringify(wanted)}`);
  return { mode, parent: () => parentOf(args, chainedMaster(args), true) };
}

/** In a chain the master is the one interface that the plugin before made, unless one is configured. */
function chainedMaster({ config, prevResult }: PluginArgs): string | undefined {
  if (prevResult === undefined || (stringAt(config, 'master') ?? '') !== '') return undefined;
  const [only, ...more] = prevResult.interfaces;
  if (only === undefined || only.name === '' || more.length > 0) {
    throw failure('chained master failure. PrevResult lacks a single named interface');
  }
  return only.name;
}

/** Without IPAM the addresses of the plugin before are moved to this interface. */
function inherited({ prevResult }: PluginArgs): Result | undefined {
  return prevResult !== undefined && prevResult.ips.length > 0 ? prevResult : undefined;
}

function create(args: PluginArgs, { parent, mode }: IpvlanConf, undo: UndoList): Link {
  return createAbove(args, parent(), { kind: 'ipvlan', data: ipvlanData(mode) }, undo);
}

function look(link: Link, { mode }: IpvlanConf): void {
  requireKind(link, 'ipvlan');
  const current = ipvlanMode(link);
  if (current !== mode) {
    throw failure(`Container IPVlan mode ${current} does not match expected value: ${mode}`);
  }
}
