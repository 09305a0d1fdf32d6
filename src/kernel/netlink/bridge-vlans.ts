/** VLANs of bridge ports; the bridge must filter VLANs (bridgeData), and the kernel be built for it. */
import { AF_BRIDGE } from '../libc.ts';
import { encodeAttributes } from './codec.ts';
import { Rtm } from './constants.ts';
import type { Request } from './socket.ts';

const PVID = 0x2;
const UNTAGGED = 0x4;
const HEADER = 16;

export interface PortVlan {
  /** Of the port. */
  readonly index: number;
  readonly id: number;
  /** Frames that come untagged belong to it. */
  readonly pvid?: boolean;
  /** Frames leave untagged. */
  readonly untagged?: boolean;
}

function request(type: number, vlan: PortVlan): Request {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(AF_BRIDGE, 0);
  header.writeInt32LE(vlan.index, 4);
  // struct bridge_vlan_info: flags, id.
  const info = Buffer.alloc(4);
  info.writeUInt16LE((vlan.pvid === true ? PVID : 0) | (vlan.untagged === true ? UNTAGGED : 0), 0);
  info.writeUInt16LE(vlan.id, 2);
  const attributes = encodeAttributes(
    { bridge: { vlan: info } },
    { bridge: [26, 'nest', { vlan: [2, 'bytes'] }] },
  );
  return {
    type,
    flags: 0,
    payload: Buffer.concat([header, attributes]),
    subject: `VLAN ${vlan.id} on bridge port ${vlan.index}`,
  };
}

/** EOPNOTSUPP when the kernel has no VLAN filtering. */
export function addPortVlan(vlan: PortVlan): Request {
  return request(Rtm.SETLINK, vlan);
}

export function deletePortVlan(vlan: PortVlan): Request {
  return request(Rtm.DELLINK, vlan);
}
