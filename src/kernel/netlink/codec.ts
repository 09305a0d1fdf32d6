/**
 * Netlink messages and attributes as bytes: pure functions, no I/O. Integers are in host order (little endian on every
 * machine that Node 20 runs on), save those that a protocol keeps in network order. Source: netlink(7), rtnetlink(7).
 */
import { formatIp, parseIp } from './ip.ts';

/** nlmsghdr: length, type, flags, sequence, port. */
export const HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;
/** The two top bits of an attribute's type are flags: nested, and network byte order. */
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;
const MAX_ATTRIBUTE = 0xffff;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly port: number;
  readonly payload: Buffer;
}

/** An attribute that no table names, or whose length does not fit its kind. */
export interface RawAttribute {
  /** As on the wire, flags included. */
  readonly type: number;
  readonly bytes: Buffer;
}

/** Bytes that are no netlink message. */
export class NetlinkFormatError extends Error {
  override readonly name = 'NetlinkFormatError';
}

/** What an attribute holds, by kind. */
interface Kinds {
  u8: number;
  u16: number;
  /** Network byte order. */
  be16: number;
  u32: number;
  s32: number;
  u64: bigint;
  /** Text that ends with a NUL on the wire. */
  string: string;
  /** Present or not. */
  flag: true;
  bytes: Buffer;
  /** Hardware address: `02:42:ac:11:00:02`. */
  mac: string;
  /** Address text, 4 or 16 bytes on the wire. */
  ip: string;
}

type Attribute =
  | readonly [type: number, kind: keyof Kinds]
  | readonly [type: number, kind: 'nest', table: Table];

/** The attributes of one message or of one nested attribute: what we call it → number and kind on the wire. */
export interface Table {
  readonly [name: string]: Attribute;
}

type Value<A extends Attribute> = A extends readonly [number, 'nest', infer N extends Table]
  ? Attributes<N>
  : A extends readonly [number, infer K extends keyof Kinds]
    ? Kinds[K]
    : never;

/** Attributes by name; those absent or undefined are left out on the wire, unknown ones are kept as they came. */
export type Attributes<T extends Table> = { readonly [Name in keyof T]?: Value<T[Name]> | undefined } & {
  readonly unknown?: readonly RawAttribute[] | undefined;
};

function align(length: number): number {
  return (length + 3) & ~3;
}

export function encodeMessage(message: Message): Buffer {
  const bytes = Buffer.alloc(align(HEADER_LENGTH + message.payload.length));
  bytes.writeUInt32LE(HEADER_LENGTH + message.payload.length, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.flags, 6);
  bytes.writeUInt32LE(message.seq, 8);
  bytes.writeUInt32LE(message.port, 12);
  message.payload.copy(bytes, HEADER_LENGTH);
  return bytes;
}

/**
 * The messages of one datagram. Payloads are views into it, not copies. Throws NetlinkFormatError when a length points
 * outside of it.
 */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  let offset = 0;
  while (offset < datagram.length) {
    if (datagram.length - offset < HEADER_LENGTH) {
      throw new NetlinkFormatError(`message header cut at byte ${offset}`);
    }
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER_LENGTH || length > datagram.length - offset) {
      throw new NetlinkFormatError(`message of ${length} bytes at byte ${offset} of ${datagram.length}`);
    }
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      seq: datagram.readUInt32LE(offset + 8),
      port: datagram.readUInt32LE(offset + 12),
      payload: datagram.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** What follows a type's fixed header in a payload. Throws NetlinkFormatError when the header itself is cut. */
export function afterHeader(payload: Buffer, headerLength: number): Buffer {
  if (payload.length < headerLength) {
    throw new NetlinkFormatError(`payload of ${payload.length} bytes, its header has ${headerLength}`);
  }
  return payload.subarray(headerLength);
}

/** The attributes of a stretch of bytes, in order. Throws NetlinkFormatError when a length points outside of it. */
export function decodeRaw(bytes: Buffer): RawAttribute[] {
  const attributes: RawAttribute[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const left = bytes.length - offset;
    if (left < ATTRIBUTE_HEADER_LENGTH) {
      throw new NetlinkFormatError(`attribute header cut at byte ${offset}`);
    }
    const length = bytes.readUInt16LE(offset);
    if (length < ATTRIBUTE_HEADER_LENGTH || length > left) {
      throw new NetlinkFormatError(`attribute of ${length} bytes at byte ${offset} of ${bytes.length}`);
    }
    attributes.push({
      type: bytes.readUInt16LE(offset + 2),
      bytes: bytes.subarray(offset + ATTRIBUTE_HEADER_LENGTH, offset + length),
    });
    offset += align(length);
  }
  return attributes;
}

interface NamedAttribute {
  readonly name: string;
  readonly attribute: Attribute;
}

/** A table is a constant: what is made from it is made once. */
const tablesByType = new WeakMap<Table, ReadonlyMap<number, NamedAttribute>>();

function byType(table: Table): ReadonlyMap<number, NamedAttribute> {
  const found =
    tablesByType.get(table) ??
    new Map(Object.entries(table).map(([name, attribute]) => [attribute[0], { name, attribute }]));
  tablesByType.set(table, found);
  return found;
}

/** Decodes by a table; of an attribute that comes twice the last counts, as in the kernel. */
export function decodeAttributes<T extends Table>(bytes: Buffer, table: T): Attributes<T> {
  const attributes = byType(table);
  const values: Record<string, unknown> = {};
  const unknown: RawAttribute[] = [];
  for (const raw of decodeRaw(bytes)) {
    const known = attributes.get(raw.type & TYPE_MASK);
    const value = known === undefined ? undefined : decodeValue(raw.bytes, known.attribute);
    if (known === undefined || value === undefined) {
      unknown.push(raw);
    } else {
      values[known.name] = value;
    }
  }
  return (unknown.length === 0 ? values : { ...values, unknown }) as Attributes<T>;
}

const LENGTHS: Readonly<Partial<Record<keyof Kinds, number>>> = {
  u8: 1,
  u16: 2,
  be16: 2,
  u32: 4,
  s32: 4,
  u64: 8,
  flag: 0,
};

/** undefined when the bytes are no value of this kind. */
function decodeValue(bytes: Buffer, attribute: Attribute): unknown {
  const [, kind] = attribute;
  if (kind === 'nest') {
    return decodeAttributes(bytes, attribute[2]);
  }
  const length = LENGTHS[kind];
  if (length !== undefined && length !== bytes.length) {
    return undefined;
  }
  switch (kind) {
    case 'u8':
      return bytes.readUInt8();
    case 'u16':
      return bytes.readUInt16LE();
    case 'be16':
      return bytes.readUInt16BE();
    case 'u32':
      return bytes.readUInt32LE();
    case 's32':
      return bytes.readInt32LE();
    case 'u64':
      return bytes.readBigUInt64LE();
    case 'string': {
      const end = bytes.indexOf(0);
      return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
    }
    case 'flag':
      return true;
    case 'bytes':
      return bytes;
    case 'mac':
      return formatMac(bytes);
    case 'ip':
      return [4, 16].includes(bytes.length) ? formatIp(bytes) : undefined;
  }
}

/** Encodes by a table, in the table's order, then the unknown ones. Throws RangeError for what does not fit. */
export function encodeAttributes<T extends Table>(values: Attributes<T>, table: T): Buffer {
  const parts: Buffer[] = [];
  for (const [name, attribute] of Object.entries(table)) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) {
      const nested = attribute[1] === 'nest' ? NESTED : 0;
      appendAttribute(parts, attribute[0] | nested, encodeValue(name, value, attribute), name);
    }
  }
  for (const raw of values.unknown ?? []) {
    appendAttribute(parts, raw.type, raw.bytes, `attribute ${raw.type}`);
  }
  return Buffer.concat(parts);
}

const ZEROS = Buffer.alloc(4);

function appendAttribute(parts: Buffer[], type: number, bytes: Buffer, name: string): void {
  const length = ATTRIBUTE_HEADER_LENGTH + bytes.length;
  if (length > MAX_ATTRIBUTE) {
    throw new RangeError(`netlink attribute ${name} is too long: ${bytes.length} bytes`);
  }
  const header = Buffer.allocUnsafe(ATTRIBUTE_HEADER_LENGTH);
  header.writeUInt16LE(length, 0);
  header.writeUInt16LE(type, 2);
  parts.push(header, bytes);
  if (align(length) !== length) {
    parts.push(ZEROS.subarray(0, align(length) - length));
  }
}

/** The number as one byte of a message's fixed header. Throws RangeError when it does not fit. */
export function writeByte(header: Buffer, at: number, name: string, value: number): void {
  header.set(encodeValue(name, value, [0, 'u8']), at);
}

const BOUNDS: Readonly<Partial<Record<keyof Kinds, readonly [least: number, most: number]>>> = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  be16: [0, 0xffff],
  u32: [0, 0xffff_ffff],
  s32: [-0x8000_0000, 0x7fff_ffff],
};

function encodeValue(name: string, value: unknown, attribute: Attribute): Buffer {
  const [, kind] = attribute;
  if (kind === 'nest') {
    return encodeAttributes(value as Attributes<Table>, attribute[2]);
  }
  const [least, most] = BOUNDS[kind] ?? [];
  if (least !== undefined && most !== undefined && ((value as number) < least || (value as number) > most)) {
    throw new RangeError(`${name} ${value as number} is not between ${least} and ${most}`);
  }
  // From Node's pool, as it is filled below.
  const bytes = Buffer.allocUnsafe(LENGTHS[kind] ?? 0);
  switch (kind) {
    case 'u8':
      bytes.writeUInt8(value as number);
      return bytes;
    case 'u16':
      bytes.writeUInt16LE(value as number);
      return bytes;
    case 'be16':
      bytes.writeUInt16BE(value as number);
      return bytes;
    case 'u32':
      bytes.writeUInt32LE(value as number);
      return bytes;
    case 's32':
      bytes.writeInt32LE(value as number);
      return bytes;
    case 'u64':
      bytes.writeBigUInt64LE(value as bigint);
      return bytes;
    case 'string':
      return Buffer.from(`${value as string}\0`);
    case 'flag':
      return bytes;
    case 'bytes':
      return value as Buffer;
    case 'mac':
      return parseMac(value as string);
    case 'ip':
      return parseIp(value as string);
  }
}

/** `02:42:ac:11:00:02`, of any length; '' for no bytes. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Bytes of a hardware address written with colons. Throws RangeError for anything else. */
export function parseMac(text: string): Buffer {
  const parts = text === '' ? [] : text.split(':');
  if (!parts.every((part) => /^[0-9a-fA-F]{2}$/.test(part))) {
    throw new RangeError(`not a hardware address: ${JSON.stringify(text)}`);
  }
  return Buffer.from(parts.join(''), 'hex');
}
