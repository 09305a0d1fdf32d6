/** VLANs of bridge ports; the bridge must filter VLANs (bridgeData), and the kernel be built for it. */
import { AF_BRIDGE } from '../libc.ts';
import { afterHeader, decodeAttributes, decodeRaw, encodeAttributes } from './codec.ts';
import { Rtm } from './constants.ts';
import type { NetlinkSocket, Request } from './socket.ts';

const PVID = 0x2;
const UNTAGGED = 0x4;
const HEADER = 16;
const VLAN_INFO = 2;
/** RTEXT_FILTER_BRVLAN: tell of VLANs too. */
const FILTER_BRVLAN = 2;

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

/** The VLANs that a port is in. */
export function listPortVlans(socket: NetlinkSocket, index: number): PortVlan[] {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(AF_BRIDGE, 0);
  const payload = Buffer.concat([header, encodeAttributes({ mask: FILTER_BRVLAN }, { mask: [29, 'u32'] })]);
  return socket
    .dump({ type: Rtm.GETLINK, flags: 0, payload, subject: 'bridge VLANs' })
    .filter((message) => message.payload.readInt32LE(4) === index)
    .flatMap((message) => portVlans(message.payload, index));
}

/** Each VLAN is an attribute of its own, and all have the same number. */
function portVlans(payload: Buffer, index: number): PortVlan[] {
  const { bridge } = decodeAttributes(afterHeader(payload, HEADER), { bridge: [26, 'bytes'] } as const);
  return decodeRaw(bridge ?? Buffer.alloc(0))
    .filter(({ type, bytes }) => type === VLAN_INFO && bytes.length === 4)
    .map(({ bytes }) => {
      const flags = bytes.readUInt16LE(0);
      return {
        index,
        id: bytes.readUInt16LE(2),
        pvid: (flags & PVID) !== 0,
        untagged: (flags & UNTAGGED) !== 0,
      };
    });
}
