/**
 * D-Bus messages (D-Bus specification, "Message Protocol"), as far as calls with strings and booleans need them. Pure: values in, bytes
 * out, and back. Lengths are checked before anything is read.
 */

/** What arguments and answers are made of: `s`, `o` and `g`, `b`, `u`. */
export type DbusValue = string | boolean | number;

export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly args: readonly (string | boolean)[];
}

export interface DbusMessage {
  /** METHOD_CALL 1, METHOD_RETURN 2, ERROR 3, SIGNAL 4. */
  readonly type: number;
  /** The serial of the call that this answers; 0 when it answers none. */
  readonly replySerial: number;
  /** '' unless it is an error. */
  readonly errorName: string;
  readonly signature: string;
  readonly body: Buffer;
  readonly littleEndian: boolean;
}

/** Bytes that are no D-Bus message, or one with types that no answer to our calls has. */
export class DbusFormatError extends Error {
  override readonly name = 'DbusFormatError';
}

export const METHOD_CALL = 1;
export const METHOD_RETURN = 2;
export const ERROR = 3;

/** Enough to know how long a message is. */
export const PREFIX_LENGTH = 16;

/** The specification allows 128 MiB; an error of firewalld that quotes a whole transaction has some ten kilobytes. */
const MAX_MESSAGE = 1 << 20;
const PROTOCOL_VERSION = 1;
/** A call never starts the service that it is for. */
const NO_AUTO_START = 0x2;

const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
} as const;

/** A method call. Throws DbusFormatError on a string with a NUL, which no D-Bus string may hold. */
export function encodeCall(call: MethodCall, serial: number): Buffer {
  const body = new Writer();
  for (const arg of call.args) body.value(typeof arg === 'string' ? 's' : 'b', arg);
  const signature = call.args.map((arg) => (typeof arg === 'string' ? 's' : 'b')).join('');
  const fields = new Writer();
  fields.field(FIELD.path, 'o', call.path);
  fields.field(FIELD.interface, 's', call.interface);
  fields.field(FIELD.member, 's', call.member);
  fields.field(FIELD.destination, 's', call.destination);
  if (signature !== '') fields.field(FIELD.signature, 'g', signature);
  const header = new Writer();
  header.bytes(Buffer.from(['l'.charCodeAt(0), METHOD_CALL, NO_AUTO_START, PROTOCOL_VERSION]));
  header.uint32(body.length);
  header.uint32(serial);
  header.uint32(fields.length);
  header.bytes(fields.toBuffer());
  header.align(8);
  header.bytes(body.toBuffer());
  return header.toBuffer();
}

/** The whole length of the message that begins with these bytes. Throws DbusFormatError on what is none, or is too long. */
export function messageLength(prefix: Buffer): number {
  const reader = new Reader(prefix, isLittleEndian(prefix));
  reader.skip(3);
  const version = reader.uint8();
  if (version !== PROTOCOL_VERSION) throw new DbusFormatError(`D-Bus message of version ${version}`);
  const bodyLength = reader.uint32();
  reader.skip(4);
  const fieldsLength = reader.uint32();
  const length = aligned(PREFIX_LENGTH + fieldsLength, 8) + bodyLength;
  if (length > MAX_MESSAGE) throw new DbusFormatError(`D-Bus message of ${length} bytes`);
  return length;
}

/** Reads one whole message; its body is left for decodeBody. Throws DbusFormatError. */
export function decodeMessage(bytes: Buffer): DbusMessage {
  if (messageLength(bytes) !== bytes.length) throw new DbusFormatError('truncated D-Bus message');
  const reader = new Reader(bytes, isLittleEndian(bytes));
  reader.skip(1);
  const type = reader.uint8();
  reader.skip(2);
  const bodyLength = reader.uint32();
  reader.skip(4);
  const fields = readFields(reader, PREFIX_LENGTH + reader.uint32());
  return {
    type,
    replySerial: numberIn(fields, FIELD.replySerial),
    errorName: stringIn(fields, FIELD.errorName),
    signature: stringIn(fields, FIELD.signature),
    body: bytes.subarray(bytes.length - bodyLength),
    littleEndian: reader.littleEndian,
  };
}

/** The values of a message. Throws DbusFormatError when they are not what the signature says. */
export function decodeBody({ signature, body, littleEndian }: DbusMessage): DbusValue[] {
  const reader = new Reader(body, littleEndian);
  const values = Array.from(signature, (type) => reader.value(type));
  if (reader.offset !== body.length) throw new DbusFormatError('D-Bus body is longer than its signature');
  return values;
}

/** Header fields: an array of structures of a code and a variant. Codes that we do not know are passed over. */
function readFields(reader: Reader, end: number): Map<number, DbusValue> {
  const fields = new Map<number, DbusValue>();
  while (reader.offset < end) {
    reader.align(8);
    const code = reader.uint8();
    const signature = reader.signature();
    if (signature.length !== 1) throw new DbusFormatError(`header field ${code} of type "${signature}"`);
    fields.set(code, reader.value(signature));
  }
  if (reader.offset !== end) throw new DbusFormatError('D-Bus header fields are longer than they say');
  return fields;
}

function numberIn(fields: ReadonlyMap<number, DbusValue>, code: number): number {
  const value = fields.get(code) ?? 0;
  if (typeof value !== 'number') throw new DbusFormatError(`header field ${code} is no number`);
  return value;
}

function stringIn(fields: ReadonlyMap<number, DbusValue>, code: number): string {
  const value = fields.get(code) ?? '';
  if (typeof value !== 'string') throw new DbusFormatError(`header field ${code} is no string`);
  return value;
}

function isLittleEndian(bytes: Buffer): boolean {
  const mark = String.fromCharCode(bytes[0] ?? 0);
  if (mark !== 'l' && mark !== 'B') throw new DbusFormatError('no D-Bus message: unknown byte order');
  return mark === 'l';
}

function aligned(offset: number, to: number): number {
  return Math.ceil(offset / to) * to;
}

/** Writes in little-endian; alignment counts from its beginning, which must stand at a multiple of 8. */
class Writer {
  private readonly parts: Buffer[] = [];
  length = 0;

  bytes(part: Buffer): void {
    this.parts.push(part);
    this.length += part.length;
  }

  align(to: number): void {
    this.bytes(Buffer.alloc(aligned(this.length, to) - this.length));
  }

  uint32(value: number): void {
    this.align(4);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.bytes(bytes);
  }

  value(type: 's' | 'o' | 'g' | 'b', value: string | boolean): void {
    if (typeof value === 'boolean') {
      this.uint32(value ? 1 : 0);
      return;
    }
    if (value.includes('\0')) throw new DbusFormatError(`NUL in ${JSON.stringify(value)}`);
    const text = Buffer.from(`${value}\0`);
    if (type === 'g') this.bytes(Buffer.from([text.length - 1]));
    else this.uint32(text.length - 1);
    this.bytes(text);
  }

  field(code: number, type: 's' | 'o' | 'g', value: string): void {
    this.align(8);
    this.bytes(Buffer.from([code]));
    this.value('g', type);
    this.value(type, value);
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.parts);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  private readonly buffer: Buffer;
  readonly littleEndian: boolean;
  offset = 0;

  constructor(buffer: Buffer, littleEndian: boolean) {
    this.buffer = buffer;
    this.littleEndian = littleEndian;
  }

  skip(count: number): void {
    this.take(count);
  }

  align(to: number): void {
    this.take(aligned(this.offset, to) - this.offset);
  }

  uint8(): number {
    return this.take(1).readUInt8();
  }

  uint32(): number {
    this.align(4);
    const bytes = this.take(4);
    return this.littleEndian ? bytes.readUInt32LE() : bytes.readUInt32BE();
  }

  signature(): string {
    return this.text(this.uint8());
  }

  value(type: string): DbusValue {
    switch (type) {
      case 's':
      case 'o':
        return this.text(this.uint32());
      case 'g':
        return this.signature();
      case 'b':
        return this.boolean();
      case 'u':
        return this.uint32();
      default:
        throw new DbusFormatError(`D-Bus value of type "${type}"`);
    }
  }

  private boolean(): boolean {
    const value = this.uint32();
    if (value > 1) throw new DbusFormatError(`D-Bus boolean ${value}`);
    return value === 1;
  }

  private text(length: number): string {
    const bytes = this.take(length);
    if (this.uint8() !== 0) throw new DbusFormatError('D-Bus string without its NUL');
    try {
      return utf8.decode(bytes);
    } catch {
      throw new DbusFormatError('D-Bus string is no UTF-8');
    }
  }

  private take(count: number): Buffer {
    const end = this.offset + count;
    if (end > this.buffer.length) throw new DbusFormatError('truncated D-Bus message');
    const bytes = this.buffer.subarray(this.offset, end);
    this.offset = end;
    return bytes;
  }
}
