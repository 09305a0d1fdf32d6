/** VLANs on a bridge that filters them: those of a port, and the interface that holds the gateway's address of one. */
import {
  addPortVlan,
  deletePortVlan,
  listPortVlans,
  type PortVlan,
} from '../../../../kernel/netlink/bridge-vlans.ts';
import { changeLink, findLink, type Link } from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { threadNamespace } from '../../../../kernel/thread-namespaces.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../../lib/json.ts';
import { arrayAt, booleanAt, failure, integerAt, wrongType } from '../../config.ts';
import { doing } from '../../netns.ts';
import { createVeth } from '../../veth.ts';

export interface VlanConf {
  /** The VLAN of what comes without a tag; 0 for that of the bridge. */
  readonly id: number;
  /** VLANs that may pass with their tags, in order. */
  readonly trunk: readonly number[];
  /** Whether a port stays in the VLAN that the bridge puts it in. */
  readonly preserveDefault: boolean;
  /** Whether the bridge, when it is made, filters VLANs. */
  readonly filtering: boolean;
}

const MAX_ID = 4094;

/** Reads `vlan`, `vlanTrunk` and `preserveDefaultVlan`. Throws CniError with the reference plugin's text. */
export function vlanConf(config: JsonObject): VlanConf {
  const id = integerAt(config, 'vlan') ?? 0;
  if (id < 0 || id > MAX_ID) throw failure(`invalid VLAN ID ${id} (must be between 0 and ${MAX_ID})`);
  const items = arrayAt(config, 'vlanTrunk');
  const trunk = [...new Set((items ?? []).flatMap(trunkIds))].toSorted((a, b) => a - b);
  return {
    id,
    trunk,
    preserveDefault: booleanAt(config, 'preserveDefaultVlan') ?? true,
    filtering: id !== 0 || items !== undefined,
  };
}

/** The ids of one item: a range, a single one, or both. */
function trunkIds(item: Json, index: number): number[] {
  const path = `vlanTrunk[${index}]`;
  if (!isJsonObject(item)) throw wrongType(path, 'an object');
  const at = (name: string): number | undefined => {
    const id = integerAt(item, name, `${path}.${name}`);
    if (id === undefined || (id > 0 && id <= MAX_ID)) return id;
    throw failure(`incorrect trunk ${name} parameter`);
  };
  const [min, max, single] = [at('minID'), at('maxID'), at('id')];
  return [...rangeOf(min, max), ...(single === undefined ? [] : [single])];
}

function rangeOf(min: number | undefined, max: number | undefined): number[] {
  if (min === undefined && max === undefined) return [];
  if (min === undefined || max === undefined) {
    const missing = min === undefined ? 'minID' : 'maxID';
    throw failure(`minID and maxID should be configured simultaneously, ${missing} is missing`);
  }
  if (max < min) throw failure('minID is greater than maxID in trunk parameter');
  return Array.from({ length: max - min + 1 }, (_, offset) => min + offset);
}

/** Puts a port into its VLANs. A trunk without a VLAN of its own has VLAN 1 for what comes untagged. */
export function setPortVlans(host: NetlinkSocket, { index, name }: Link, conf: VlanConf): void {
  const { id, trunk, preserveDefault } = conf;
  if (id === 0 && trunk.length === 0) return;
  const native = id === 0 ? 1 : id;
  const wanted: PortVlan[] = [
    ...trunk.filter((each) => each !== native).map((each) => ({ index, id: each })),
    { index, id: native, pvid: true, untagged: true },
  ];
  doing(`failed to setup vlan tag on interface "${name}"`, () => {
    const given = preserveDefault ? [] : listPortVlans(host, index);
    host.requestAll([...given.map(deletePortVlan), ...wanted.map(addPortVlan)]);
  });
}

/**
 * The interface `<bridge>.<vlan>` of the host, which holds the gateway's address in that VLAN: one end of a veth pair whose other
 * end is a port of the bridge. Made when it is missing; it stays, as other containers use it.
 */
export function ensureVlanInterface(host: NetlinkSocket, bridge: Link, conf: VlanConf): Link {
  const name = `${bridge.name}.${conf.id}`;
  return doing(`failed to create vlan interface "${name}"`, () => {
    const index = findLink(host, name)?.index ?? createVlanInterface(host, bridge, name, conf);
    host.request(changeLink(index, { up: true }));
    const link = findLink(host, index);
    if (link === undefined) throw failure('Link not found');
    return link;
  });
}

function createVlanInterface(host: NetlinkSocket, bridge: Link, name: string, conf: VlanConf): number {
  const where = { netns: threadNamespace('net'), ifName: name };
  const veth = createVeth(host, where, { mtu: bridge.mtu, master: bridge.index });
  setPortVlans(host, veth.host, { ...conf, trunk: [] });
  return veth.container.index;
}
