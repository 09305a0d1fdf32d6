/** vlan: an 802.1Q VLAN of an interface of the host. See README.md. */
import { vlanData, vlanId } from '../../../../kernel/netlink/link-kinds.ts';
import type { Link } from '../../../../kernel/netlink/links.ts';
import { failure, integerAt, stringAt } from '../../config.ts';
import { createAbove, describeParent, parentKeys, parentOf, type ParentConf } from '../../parent-link.ts';
import type { PluginArgs } from '../../plugin.ts';
import { requireKind, singleLinkPlugin } from '../../single-link.ts';
import type { UndoList } from '../../undo.ts';

interface VlanConf {
  readonly parent: ParentConf;
  readonly id: number;
}

/** What CHECK goes by. */
type Look = Pick<VlanConf, 'id'> & { readonly parent: Pick<ParentConf, 'mtu'> };

export const vlan = singleLinkPlugin<VlanConf>({
  type: 'vlan',
  keys: { ...parentKeys, vlanId: true },
  ipam: 'required',
  dns: 'own',
  sysctls: [],
  decode,
  create,
  look,
  describe: (config) => describeParent(config, false),
});

const MAX_ID = 4094;

function decode(args: PluginArgs): VlanConf {
  if ((stringAt(args.config, 'master') ?? '') === '') {
    throw failure('"master" field is required. It specifies the host interface name to create the VLAN for');
  }
  const id = integerAt(args.config, 'vlanId') ?? 0;
  if (id < 0 || id > MAX_ID) {
    throw failure(`invalid VLAN ID ${id} (must be between 0 and ${MAX_ID} inclusive)`);
  }
  return { parent: parentOf(args, undefined, false), id };
}

function create(args: PluginArgs, { parent, id }: VlanConf, undo: UndoList): Link {
  return createAbove(args, parent, { kind: 'vlan', data: vlanData(id) }, undo);
}

/** CHECK: the link has the id, and the MTU if one is configured. Throws CniError. */
export function look(link: Link, { id, parent: { mtu } }: Look): void {
  requireKind(link, 'vlan');
  const current = vlanId(link);
  if (current !== id) {
    throw failure(`Error: Container vlan ID ${current ?? 'none'} does not match expected value: ${id}`);
  }
  if (mtu !== 0 && link.mtu !== mtu) {
    throw failure(`Error: Container vlan MTU ${link.mtu} does not match expected value: ${mtu}`);
  }
}
