/** Addresses of interfaces. */
import { AF_UNSPEC } from '../libc.ts';
import {
  afterHeader,
  decodeAttributes,
  encodeAttributes,
  type Message,
  NetlinkFormatError,
} from './codec.ts';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Rtm } from './constants.ts';
import { familyOf, formatIp, parsePrefix } from './ip.ts';
import type { NetlinkSocket, Request } from './socket.ts';

/** Flags of an address (linux/if_addr.h). */
export const Ifa = { NODAD: 0x02, DADFAILED: 0x08, TENTATIVE: 0x40, PERMANENT: 0x80 } as const;

const HEADER = 8;

const ADDRESS = {
  address: [1, 'ip'],
  local: [2, 'ip'],
  label: [3, 'string'],
  broadcast: [4, 'ip'],
  flags: [8, 'u32'],
} as const;

export interface Address {
  readonly index: number;
  /** `10.88.0.5/16`. */
  readonly address: string;
  /** The other end of a point-to-point link; '' otherwise. */
  readonly peer: string;
  readonly broadcast: string;
  readonly label: string;
  /** rtnetlink scope: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** Bits of Ifa. */
  readonly flags: number;
}

export interface AddressSpec {
  readonly index: number;
  /** With prefix length. */
  readonly address: string;
  readonly broadcast?: string | undefined;
  readonly label?: string | undefined;
  readonly scope?: number | undefined;
  /** IPv6: usable at once, without duplicate address detection. */
  readonly nodad?: boolean | undefined;
}

function request(type: number, flags: number, spec: AddressSpec): Request {
  const { bytes, length } = parsePrefix(spec.address);
  const address = formatIp(bytes);
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(familyOf(bytes), 0);
  header.writeUInt8(length, 1);
  header.writeUInt8(spec.scope ?? 0, 3);
  header.writeUInt32LE(spec.index, 4);
  const attributes = encodeAttributes(
    {
      address,
      local: address,
      label: spec.label,
      broadcast: spec.broadcast,
      flags: spec.nodad === true ? Ifa.NODAD : undefined,
    },
    ADDRESS,
  );
  return {
    type,
    flags,
    payload: Buffer.concat([header, attributes]),
    subject: `${spec.address} on link ${spec.index}`,
  };
}

/** EEXIST when the link has the address. */
export function newAddress(spec: AddressSpec): Request {
  return request(Rtm.NEWADDR, NLM_F_CREATE | NLM_F_EXCL, spec);
}

/** Adds the address or changes what the link has of it. */
export function replaceAddress(spec: AddressSpec): Request {
  return request(Rtm.NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, spec);
}

/** EADDRNOTAVAIL when the link does not have it. */
export function deleteAddress(spec: Pick<AddressSpec, 'index' | 'address'>): Request {
  return request(Rtm.DELADDR, 0, spec);
}

export function parseAddress(message: Message): Address {
  const { payload } = message;
  const attributes = decodeAttributes(afterHeader(payload, HEADER), ADDRESS);
  const length = payload.readUInt8(1);
  // IPv6 has no `local` unless there is a peer; IPv4 always has.
  const own = attributes.local ?? attributes.address;
  if (own === undefined) {
    throw new NetlinkFormatError('an address without address');
  }
  const peer = attributes.address ?? own;
  return {
    index: payload.readUInt32LE(4),
    address: `${own}/${length}`,
    peer: own === peer ? '' : peer,
    broadcast: attributes.broadcast ?? '',
    label: attributes.label ?? '',
    scope: payload.readUInt8(3),
    flags: attributes.flags ?? payload.readUInt8(2),
  };
}

/** Addresses of one link, or of all; of one family (AF_INET, AF_INET6), or both. */
export function listAddresses(
  socket: NetlinkSocket,
  filter: { readonly index?: number; readonly family?: number } = {},
): Address[] {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(filter.family ?? AF_UNSPEC, 0);
  header.writeUInt32LE(filter.index ?? 0, 4);
  return (
    socket
      .dump({ type: Rtm.GETADDR, flags: 0, payload: header, subject: 'addresses' })
      // Other families (multicast of old kernels) have their own message types.
      .filter((message) => message.type === Rtm.NEWADDR)
      .map(parseAddress)
      // Kernels before 4.20 do not know the filter.
      .filter((address) => filter.index === undefined || address.index === filter.index)
  );
}
