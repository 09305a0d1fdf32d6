/**
 * DHCP messages (RFC 2131 section 2; options: RFC 2132, long ones RFC 3396). Pure: bytes in, values out, and back. Lengths are
 * checked before anything is read.
 */
import { formatMac, parseMac } from '../../../../kernel/netlink/codec.ts';

/** Types of messages (RFC 2132, 9.6). */
export const MessageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
} as const;

/** Options by the number that stands for them. */
export const Option = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  hostName: 12,
  staticRoutes: 33,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maximumMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  userClass: 77,
  classlessRoutes: 121,
  end: 255,
} as const;

/** Codes, in no order, with their values. */
export type Options = ReadonlyMap<number, Uint8Array>;

export interface DhcpMessage {
  /** 1 from a client, 2 from a server. */
  readonly op: number;
  /** The number of the transaction, 32 bits. */
  readonly xid: number;
  /** Seconds since the client began. */
  readonly secs: number;
  /** The answer has to be broadcast: the client cannot be reached by an address that it does not have yet. */
  readonly broadcast: boolean;
  /** Addresses in dotted form: the client's own, the one given to it, the next server's, the relay agent's. */
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  /** The client's hardware address, `02:00:00:00:00:01`. */
  readonly chaddr: string;
  /** Without `overload`, which is a matter of the encoding. */
  readonly options: Options;
}

export const NO_ADDRESS = '0.0.0.0';

export class DhcpFormatError extends Error {
  override readonly name = 'DhcpFormatError';
}

const HEADER = 236;
const COOKIE = 0x6382_5363;
const SNAME = { from: 44, to: 108 } as const;
const FILE = { from: 108, to: 236 } as const;
const CHADDR = { from: 28, to: 44 } as const;
const ETHERNET = 1;
const BROADCAST = 0x8000;
/** Relay agents of the time of BOOTP drop what is shorter. */
const LEAST_BYTES = 300;
const PIECE = 255;

/** The message as bytes, at least as long as BOOTP had it. A value of more than 255 bytes is cut in pieces. */
export function encodeMessage(message: DhcpMessage): Buffer {
  const header = Buffer.alloc(HEADER + 4);
  const mac = parseMac(message.chaddr);
  header.writeUInt8(message.op, 0);
  header.writeUInt8(ETHERNET, 1);
  header.writeUInt8(mac.length, 2);
  header.writeUInt32BE(message.xid, 4);
  header.writeUInt16BE(Math.min(message.secs, 0xffff), 8);
  header.writeUInt16BE(message.broadcast ? BROADCAST : 0, 10);
  for (const [index, name] of ADDRESSES.entries()) header.set(encodeIp(message[name]), 12 + 4 * index);
  header.set(mac, CHADDR.from);
  header.writeUInt32BE(COOKIE, HEADER);
  const options = [...message.options].flatMap(([code, value]) => encodeOption(code, value));
  const bytes = Buffer.concat([header, ...options, Buffer.of(Option.end)]);
  return bytes.length >= LEAST_BYTES ? bytes : Buffer.concat([bytes], LEAST_BYTES);
}

const ADDRESSES = ['ciaddr', 'yiaddr', 'siaddr', 'giaddr'] as const;

function encodeOption(code: number, value: Uint8Array): Buffer[] {
  const pieces: Buffer[] = [];
  for (let from = 0; from === 0 || from < value.length; from += PIECE) {
    const piece = value.subarray(from, from + PIECE);
    pieces.push(Buffer.of(code, piece.length), Buffer.from(piece));
  }
  return pieces;
}

/** Throws a DhcpFormatError for what is no message, or is cut short. */
export function decodeMessage(bytes: Uint8Array): DhcpMessage {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER + 4) throw new DhcpFormatError(`${buffer.length} bytes are no DHCP message`);
  if (buffer.readUInt32BE(HEADER) !== COOKIE) throw new DhcpFormatError('the magic cookie is missing');
  const length = buffer.readUInt8(2);
  if (length > CHADDR.to - CHADDR.from) {
    throw new DhcpFormatError(`a hardware address of ${length} bytes`);
  }
  const [ciaddr, yiaddr, siaddr, giaddr] = ADDRESSES.map((_, index) => formatIp(buffer, 12 + 4 * index));
  return {
    op: buffer.readUInt8(0),
    xid: buffer.readUInt32BE(4),
    secs: buffer.readUInt16BE(8),
    broadcast: (buffer.readUInt16BE(10) & BROADCAST) !== 0,
    ciaddr: ciaddr ?? NO_ADDRESS,
    yiaddr: yiaddr ?? NO_ADDRESS,
    siaddr: siaddr ?? NO_ADDRESS,
    giaddr: giaddr ?? NO_ADDRESS,
    chaddr: formatMac(buffer.subarray(CHADDR.from, CHADDR.from + length)),
    options: decodeOptions(buffer),
  };
}

/** The options field, then those that it says are in `file` and in `sname`; pieces of one option are put together. */
function decodeOptions(buffer: Buffer): Options {
  const pieces = new Map<number, Buffer[]>();
  collect(buffer.subarray(HEADER + 4), pieces);
  const overload = pieces.get(Option.overload)?.[0]?.[0] ?? 0;
  if ((overload & 1) !== 0) collect(buffer.subarray(FILE.from, FILE.to), pieces);
  if ((overload & 2) !== 0) collect(buffer.subarray(SNAME.from, SNAME.to), pieces);
  pieces.delete(Option.overload);
  return new Map([...pieces].map(([code, parts]) => [code, Buffer.concat(parts)]));
}

function collect(field: Buffer, pieces: Map<number, Buffer[]>): void {
  for (let at = 0; at < field.length; ) {
    const code = field.readUInt8(at);
    if (code === Option.end) return;
    at += 1;
    if (code === Option.pad) continue;
    const length = at < field.length ? field.readUInt8(at) : Number.POSITIVE_INFINITY;
    at += 1;
    if (at + length > field.length) throw new DhcpFormatError(`option ${code} is cut short`);
    pieces.set(code, [...(pieces.get(code) ?? []), field.subarray(at, at + length)]);
    at += length;
  }
}

/** The four bytes of a dotted address. */
export function encodeIp(address: string): Uint8Array {
  return Uint8Array.from(address.split('.').map(Number));
}

/** The dotted address of four bytes. */
export function formatIp(bytes: Uint8Array, at = 0): string {
  return bytes.subarray(at, at + 4).join('.');
}
