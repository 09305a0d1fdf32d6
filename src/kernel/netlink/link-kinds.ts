/**
 * What belongs to one kind of link only: the `data` of newLink, and what the kernel tells of it (linux/if_link.h).
 */
import { decodeAttributes, encodeAttributes } from './codec.ts';
import type { Link } from './links.ts';

const MACVLAN = { mode: [1, 'u32'], broadcastQueue: [7, 'u32'] } as const;
const IPVLAN = { mode: [1, 'u16'] } as const;
const VLAN = { id: [1, 'u16'] } as const;
const VRF = { table: [1, 'u32'] } as const;

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;

export type MacvlanMode = keyof typeof MACVLAN_MODES;
export type IpvlanMode = keyof typeof IPVLAN_MODES;

/** `broadcastQueue` is the length of the queue of broadcasts that wait to be copied; the kernel's own when absent. */
export function macvlanData(options: {
  readonly mode: MacvlanMode;
  readonly broadcastQueue?: number | undefined;
}): Buffer {
  return encodeAttributes(
    { mode: MACVLAN_MODES[options.mode], broadcastQueue: options.broadcastQueue },
    MACVLAN,
  );
}

/** The mode's name, or its number when it has none here. */
export function macvlanMode(link: Link): string {
  return nameOf(MACVLAN_MODES, decodeAttributes(link.data, MACVLAN).mode);
}

export function ipvlanData(mode: IpvlanMode): Buffer {
  return encodeAttributes({ mode: IPVLAN_MODES[mode] }, IPVLAN);
}

/** The mode's name, or its number when it has none here. */
export function ipvlanMode(link: Link): string {
  return nameOf(IPVLAN_MODES, decodeAttributes(link.data, IPVLAN).mode);
}

function nameOf(modes: Readonly<Record<string, number>>, value: number | undefined): string {
  return Object.entries(modes).find(([, number]) => number === value)?.[0] ?? String(value);
}

/** An 802.1Q VLAN of the link below. */
export function vlanData(id: number): Buffer {
  return encodeAttributes({ id }, VLAN);
}

/** undefined when the link is no VLAN. */
export function vlanId(link: Link): number | undefined {
  return decodeAttributes(link.data, VLAN).id;
}

/** A VRF, whose ports' routes are in this table. */
export function vrfData(table: number): Buffer {
  return encodeAttributes({ table }, VRF);
}

/** undefined when the link is no VRF. */
export function vrfTable(link: Link): number | undefined {
  return link.kind === 'vrf' ? decodeAttributes(link.data, VRF).table : undefined;
}
