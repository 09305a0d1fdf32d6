/** Neighbours: ARP and NDP entries, and the forwarding entries of bridges and vxlan links. */
import { AF_BRIDGE } from '../libc.ts';
import { afterHeader, decodeAttributes, encodeAttributes, type Message } from './codec.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, Rtm } from './constants.ts';
import { familyOf, parseIp } from './ip.ts';
import type { NetlinkSocket, Request } from './socket.ts';

/** States of a neighbour (linux/neighbour.h). */
export const Nud = { REACHABLE: 0x02, STALE: 0x04, FAILED: 0x20, NOARP: 0x40, PERMANENT: 0x80 } as const;
/** The entry is of the device itself, not of its bridge. */
const NTF_SELF = 0x02;

const HEADER = 12;
const NEIGHBOUR = { destination: [1, 'ip'], mac: [2, 'mac'] } as const;

export interface Neighbour {
  readonly index: number;
  /** An address; in a forwarding entry of vxlan that of the remote node, '' in one of a bridge. */
  readonly destination: string;
  /** '' while it is not resolved. */
  readonly mac: string;
  readonly state: number;
  readonly flags: number;
}

function request(
  type: number,
  flags: number,
  fields: {
    family: number;
    index: number;
    state: number;
    flags: number;
    destination: string;
    mac?: string | undefined;
  },
): Request {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(fields.family, 0);
  header.writeInt32LE(fields.index, 4);
  header.writeUInt16LE(fields.state, 8);
  header.writeUInt8(fields.flags, 10);
  const attributes = encodeAttributes({ destination: fields.destination, mac: fields.mac }, NEIGHBOUR);
  const subject = `neighbour ${fields.destination} on link ${fields.index}`;
  return { type, flags, payload: Buffer.concat([header, attributes]), subject };
}

/** Sets a neighbour that is not asked for: permanent unless another state is given. */
export function setNeighbour(spec: {
  index: number;
  destination: string;
  mac: string;
  state?: number;
}): Request {
  const { index, destination, mac, state = Nud.PERMANENT } = spec;
  return request(Rtm.NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, {
    family: familyOf(parseIp(destination)),
    index,
    state,
    flags: 0,
    destination,
    mac,
  });
}

/** ENOENT when there is none. */
export function deleteNeighbour(spec: { index: number; destination: string }): Request {
  const { index, destination } = spec;
  return request(Rtm.DELNEIGH, 0, {
    family: familyOf(parseIp(destination)),
    index,
    state: 0,
    flags: 0,
    destination,
  });
}

/** Sends frames for a hardware address to a remote node, on a vxlan link. With `append` beside those that are there. */
export function setForwarding(spec: {
  index: number;
  mac: string;
  destination: string;
  append?: boolean;
}): Request {
  const flags = NLM_F_CREATE | (spec.append === true ? NLM_F_APPEND : NLM_F_REPLACE);
  return request(Rtm.NEWNEIGH, flags, forwarding(spec));
}

export function deleteForwarding(spec: { index: number; mac: string; destination: string }): Request {
  return request(Rtm.DELNEIGH, 0, forwarding(spec));
}

function forwarding(spec: {
  index: number;
  mac: string;
  destination: string;
}): Parameters<typeof request>[2] {
  const { index, mac, destination } = spec;
  return { family: AF_BRIDGE, index, state: Nud.PERMANENT | Nud.NOARP, flags: NTF_SELF, destination, mac };
}

export function parseNeighbour(message: Message): Neighbour {
  const { payload } = message;
  const { destination, mac } = decodeAttributes(afterHeader(payload, HEADER), NEIGHBOUR);
  return {
    index: payload.readInt32LE(4),
    destination: destination ?? '',
    mac: mac ?? '',
    state: payload.readUInt16LE(8),
    flags: payload.readUInt8(10),
  };
}

/** Neighbours of one family: AF_INET, AF_INET6, or AF_BRIDGE for forwarding entries. */
export function listNeighbours(
  socket: NetlinkSocket,
  filter: { readonly family: number; readonly index?: number },
): Neighbour[] {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(filter.family, 0);
  // The kernel's own filter by link is another attribute in each family; sorting out here is right in all.
  return socket
    .dump({ type: Rtm.GETNEIGH, flags: 0, payload: header, subject: 'neighbours' })
    .filter((message) => message.type === Rtm.NEWNEIGH && message.payload.readUInt8(0) === filter.family)
    .map(parseNeighbour)
    .filter(({ index }) => filter.index === undefined || index === filter.index);
}
