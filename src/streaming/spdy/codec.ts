/** Frames to bytes and back: pure, and incremental. */
import { Buffer } from 'node:buffer';
import {
  type ControlFrame,
  FLAG_FIN,
  FLAG_UNIDIRECTIONAL,
  type Frame,
  FrameType,
  type Headers,
  ProtocolError,
  VERSION,
} from './frames.ts';
import { HeaderDecoder, HeaderEncoder } from './header-block.ts';

export const FRAME_HEAD_BYTES = 8;
/** What a DATA frame can hold: its length has 24 bits. */
export const MAX_DATA_BYTES = 0xff_ffff;
/** A control frame is read as a whole; a longer one ends the session. */
const MAX_CONTROL_BYTES = 64 * 1024;
const CONTROL_BIT = 0x8000_0000;
const ID_MASK = 0x7fff_ffff;

/** Bytes of frames. Header blocks depend on those before them: one encoder for a session, frames in the order of sending. */
export class FrameEncoder {
  readonly #headers = new HeaderEncoder();

  encode(frame: ControlFrame): Buffer {
    switch (frame.kind) {
      case 'syn-stream': {
        const flags = (frame.fin ? FLAG_FIN : 0) | (frame.unidirectional ? FLAG_UNIDIRECTIONAL : 0);
        // Associated stream, priority and slot: none of them matters here.
        const fields = [frame.streamId, 0];
        return control(FrameType.synStream, flags, fields, this.#block(frame.headers, 2));
      }
      case 'syn-reply':
        return control(FrameType.synReply, fin(frame), [frame.streamId], this.#block(frame.headers));
      case 'headers':
        return control(FrameType.headers, fin(frame), [frame.streamId], this.#block(frame.headers));
      case 'rst-stream':
        return control(FrameType.rstStream, 0, [frame.streamId, frame.status]);
      case 'settings':
        return control(FrameType.settings, 0, [frame.values.size, ...[...frame.values].flat()]);
      case 'ping':
        return control(FrameType.ping, 0, [frame.id]);
      case 'go-away':
        return control(FrameType.goAway, 0, [frame.lastStreamId, frame.status]);
      case 'window-update':
        return control(FrameType.windowUpdate, 0, [frame.streamId, frame.delta]);
    }
  }

  #block(headers: Headers, gap = 0): Buffer {
    const block = this.#headers.encode(headers);
    return gap === 0 ? block : Buffer.concat([Buffer.alloc(gap), block]);
  }
}

/** What comes before the bytes of a DATA frame. */
export function dataHead(streamId: number, length: number, end: boolean): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  head.writeUInt32BE(streamId & ID_MASK, 0);
  head.writeUInt32BE((((end ? FLAG_FIN : 0) << 24) | length) >>> 0, 4);
  return head;
}

function fin(frame: { readonly fin: boolean }): number {
  return frame.fin ? FLAG_FIN : 0;
}

function control(type: number, flags: number, numbers: readonly number[], rest?: Buffer): Buffer {
  const length = 4 * numbers.length + (rest?.length ?? 0);
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length);
  frame.writeUInt32BE((CONTROL_BIT | (VERSION << 16) | type) >>> 0, 0);
  frame.writeUInt32BE(((flags << 24) | length) >>> 0, 4);
  let at = FRAME_HEAD_BYTES;
  for (const number of numbers) at = frame.writeUInt32BE(number >>> 0, at);
  rest?.copy(frame, at);
  return frame;
}

type Expecting =
  | { readonly kind: 'head' }
  | { readonly kind: 'control'; readonly type: number; readonly flags: number; readonly length: number }
  | { readonly kind: 'data'; readonly streamId: number; readonly fin: boolean; left: number }
  /** A control frame of an unknown type, which is to be ignored. */
  | { readonly kind: 'skip'; left: number };

/**
 * Frames of bytes, whatever pieces they come in. Keeps at most one control frame, of 64 KiB. Throws a ProtocolError, after which it
 * has to be given up.
 */
export class FrameDecoder {
  readonly #headers = new HeaderDecoder();
  #kept = Buffer.alloc(0);
  #expecting: Expecting = { kind: 'head' };

  /** The frames that the bytes complete. Bytes of DATA are parts of the chunk, not copies. */
  *push(chunk: Uint8Array): Generator<Frame, void, undefined> {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#kept.length > 0) bytes = Buffer.concat([this.#kept, bytes]);
    let at = 0;
    for (;;) {
      const rest = bytes.subarray(at);
      const expecting = this.#expecting;
      if (expecting.kind === 'data' || expecting.kind === 'skip') {
        const taken = Math.min(expecting.left, rest.length);
        if (taken === 0 && expecting.left > 0) break;
        at += taken;
        expecting.left -= taken;
        if (expecting.left === 0) this.#expecting = { kind: 'head' };
        if (expecting.kind === 'data') {
          const { streamId, fin: last, left } = expecting;
          yield { kind: 'data', streamId, bytes: rest.subarray(0, taken), fin: last && left === 0 };
        }
        continue;
      }
      const needed = expecting.kind === 'head' ? FRAME_HEAD_BYTES : expecting.length;
      if (rest.length < needed) break;
      at += needed;
      const body = rest.subarray(0, needed);
      if (expecting.kind === 'head') {
        this.#expecting = expectedAfter(body);
        continue;
      }
      this.#expecting = { kind: 'head' };
      yield this.#control(expecting.type, expecting.flags, body);
    }
    // A copy: what is kept shall not hold a whole chunk.
    this.#kept = Buffer.from(bytes.subarray(at));
  }

  #control(type: number, flags: number, body: Buffer): Frame {
    switch (type) {
      case FrameType.synStream:
        return {
          kind: 'syn-stream',
          streamId: id(body, 10),
          fin: (flags & FLAG_FIN) !== 0,
          unidirectional: (flags & FLAG_UNIDIRECTIONAL) !== 0,
          headers: this.#headers.decode(body.subarray(10)),
        };
      case FrameType.synReply:
      case FrameType.headers:
        return {
          kind: type === FrameType.synReply ? 'syn-reply' : 'headers',
          streamId: id(body, 4),
          fin: (flags & FLAG_FIN) !== 0,
          headers: this.#headers.decode(body.subarray(4)),
        };
      case FrameType.settings:
        return { kind: 'settings', values: settingsOf(body) };
      default:
        return numbersOnly(type, body);
    }
  }
}

function expectedAfter(head: Buffer): Expecting {
  const first = head.readUInt32BE(0);
  const second = head.readUInt32BE(4);
  const flags = second >>> 24;
  const length = second & MAX_DATA_BYTES;
  if ((first & CONTROL_BIT) === 0) {
    if (first === 0) throw new ProtocolError('a DATA frame is for stream 0');
    return { kind: 'data', streamId: first, fin: (flags & FLAG_FIN) !== 0, left: length };
  }
  const version = (first >>> 16) & 0x7fff;
  if (version !== VERSION)
    throw new ProtocolError(`a control frame is of SPDY version ${version}, not ${VERSION}`);
  const type = first & 0xffff;
  if (!KNOWN_TYPES.has(type)) return { kind: 'skip', left: length };
  if (length > MAX_CONTROL_BYTES) throw new ProtocolError(`a control frame of ${length} bytes is too long`);
  return { kind: 'control', type, flags, length };
}

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/** The stream that a frame is about, at least so long. */
function id(body: Buffer, minBytes: number): number {
  if (body.length < minBytes) throw new ProtocolError(`a control frame of ${body.length} bytes is too short`);
  const streamId = body.readUInt32BE(0) & ID_MASK;
  if (streamId === 0) throw new ProtocolError('a control frame is for stream 0');
  return streamId;
}

function numbersOnly(type: number, body: Buffer): ControlFrame {
  const length = type === FrameType.ping ? 4 : 8;
  if (body.length !== length)
    throw new ProtocolError(`a control frame of type ${type} has ${body.length} bytes, not ${length}`);
  const first = body.readUInt32BE(0);
  if (type === FrameType.ping) return { kind: 'ping', id: first };
  const second = body.readUInt32BE(4);
  if (type === FrameType.goAway) return { kind: 'go-away', lastStreamId: first & ID_MASK, status: second };
  if (type === FrameType.rstStream) return { kind: 'rst-stream', streamId: id(body, length), status: second };
  const delta = second & ID_MASK;
  if (delta === 0) throw new ProtocolError('a WINDOW_UPDATE is of 0 bytes');
  return { kind: 'window-update', streamId: first & ID_MASK, delta };
}

function settingsOf(body: Buffer): ReadonlyMap<number, number> {
  const count = body.length < 4 ? -1 : body.readUInt32BE(0);
  if (body.length !== 4 + 8 * count) throw new ProtocolError('a SETTINGS frame has the wrong length');
  const values = new Map<number, number>();
  for (let at = 4; at < body.length; at += 8) {
    const key = body.readUInt32BE(at) & 0xff_ffff;
    // Of one that is there several times the first counts.
    if (!values.has(key)) values.set(key, body.readUInt32BE(at + 4));
  }
  return values;
}
