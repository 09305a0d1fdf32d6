/**
 * D-Bus as a service needs it, little-endian only, and written apart from src/kernel/dbus so that neither can be wrong in the
 * same way as the other.
 */

/** A value and its type: `s`, `o`, `g`, `u` or `b`. */
export type Typed = readonly [type: string, value: string | number | boolean];

export interface Incoming {
  readonly type: number;
  readonly serial: number;
  readonly fields: ReadonlyMap<number, string | number>;
  readonly args: (string | number)[];
}

export const Field = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
};

export interface Outgoing {
  readonly type: 1 | 2 | 3;
  readonly serial: number;
  readonly fields: readonly (readonly [code: number, typed: Typed])[];
  readonly args: readonly Typed[];
}

export function encode({ type, serial, fields, args }: Outgoing): Buffer {
  const out: number[] = [];
  const signature = args.map(([each]) => each).join('');
  const all: Outgoing['fields'] =
    signature === '' ? fields : [...fields, [Field.signature, ['g', signature]]];
  const list: number[] = [];
  for (const [code, typed] of all) {
    pad(list, 8);
    list.push(code, 1, typed[0].charCodeAt(0), 0);
    put(list, typed);
  }
  const body: number[] = [];
  for (const typed of args) put(body, typed);
  out.push('l'.charCodeAt(0), type, 0, 1);
  for (const number of [body.length, serial, list.length]) put(out, ['u', number]);
  out.push(...list);
  pad(out, 8);
  return Buffer.from([...out, ...body]);
}

function pad(out: number[], to: number): void {
  while (out.length % to !== 0) out.push(0);
}

function put(out: number[], [type, value]: Typed): void {
  if (type !== 'g') pad(out, 4);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    if (type === 'g') out.push(bytes.length);
    else put(out, ['u', bytes.length]);
    out.push(...bytes, 0);
    return;
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(Number(value));
  out.push(...bytes);
}

/** The messages that are complete, and what is left. */
export function decodeAll(input: Buffer): { messages: Incoming[]; rest: Buffer } {
  const messages: Incoming[] = [];
  let rest = input;
  for (;;) {
    if (rest.length < 16) return { messages, rest };
    const length = 16 + Math.ceil(rest.readUInt32LE(12) / 8) * 8 + rest.readUInt32LE(4);
    if (rest.length < length) return { messages, rest };
    messages.push(decode(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
}

function decode(message: Buffer): Incoming {
  const fields = new Map<number, string | number>();
  const end = 16 + message.readUInt32LE(12);
  let at = 16;
  const get = (type: string): string | number => {
    if (type !== 'g') at = Math.ceil(at / 4) * 4;
    if (type === 'u' || type === 'b') return message.readUInt32LE((at += 4) - 4);
    const length = type === 'g' ? message.readUInt8(at++) : message.readUInt32LE((at += 4) - 4);
    at += length + 1;
    return message.toString('utf8', at - length - 1, at - 1);
  };
  while (at < end) {
    at = Math.ceil(at / 8) * 8;
    const code = message.readUInt8(at++);
    fields.set(code, get(String(get('g'))));
  }
  at = Math.ceil(end / 8) * 8;
  const args = Array.from(String(fields.get(Field.signature) ?? ''), get);
  return { type: message.readUInt8(1), serial: message.readUInt32LE(8), fields, args };
}
