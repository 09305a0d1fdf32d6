/**
 * Blocks of names and values, compressed. All blocks that one side sends are one zlib stream, each ended by a sync flush. After one
 * a stream has no state but the last 32 KiB of its text, so every block is handled by itself, synchronously, with that text as
 * dictionary: no native stream has to be kept, closed or waited for.
 */
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { messageOf } from '../../lib/errors.ts';
import { DICTIONARY_ID, headerDictionary } from './dictionary.ts';
import { type Headers, ProtocolError } from './frames.ts';

/** Text of one block; more is an attack. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_HEADERS = 1_000;
/** As far back as a zlib stream may refer to. */
const WINDOW_BYTES = 32 * 1024;
/** How far back we refer, in bits: a block of ours is short, and a small window is set up in no time. */
const OUR_WINDOW_BITS = 12;

const ZLIB_DEFLATE_32K = 0x78;
/** With a dictionary; the low bits make the first two bytes a multiple of 31. */
const ZLIB_FLAGS = 0xbb;
const ZLIB_HAS_DICTIONARY = 0x20;
const ZLIB_HEADER_BYTES = 6;
/** What a sync flush ends with. */
const FLUSHED = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** Compresses what one side sends. */
export class HeaderEncoder {
  #window = headerDictionary();
  #begun = false;

  encode(headers: Headers): Buffer {
    const text = textOf(headers);
    const block = deflateRawSync(text, {
      dictionary: this.#window,
      finishFlush: constants.Z_SYNC_FLUSH,
      windowBits: OUR_WINDOW_BITS,
      memLevel: 5,
    });
    this.#window = slide(this.#window, text, 1 << OUR_WINDOW_BITS);
    if (this.#begun) return block;
    this.#begun = true;
    const start = Buffer.from([ZLIB_DEFLATE_32K, ZLIB_FLAGS, 0, 0, 0, 0]);
    start.writeUInt32BE(DICTIONARY_ID, 2);
    return Buffer.concat([start, block]);
  }
}

/** Decompresses what the other side sends. Throws a ProtocolError; nothing after that can be decompressed. */
export class HeaderDecoder {
  #window = headerDictionary();
  #begun = false;

  decode(block: Uint8Array): Headers {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    const text = this.#inflate(this.#begun ? bytes : withoutStart(bytes));
    this.#begun = true;
    this.#window = slide(this.#window, text, WINDOW_BYTES);
    return headersOf(text);
  }

  #inflate(bytes: Buffer): Buffer {
    if (!bytes.subarray(-FLUSHED.length).equals(FLUSHED))
      throw new ProtocolError('a header block does not end with a sync flush');
    try {
      return inflateRawSync(bytes, {
        dictionary: this.#window,
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: MAX_TEXT_BYTES,
      });
    } catch (error) {
      throw new ProtocolError(`a header block cannot be decompressed: ${messageOf(error)}`, { cause: error });
    }
  }
}

function withoutStart(bytes: Buffer): Buffer {
  if (bytes.length < ZLIB_HEADER_BYTES) throw new ProtocolError('the first header block is too short');
  const [method = 0, flags = 0] = bytes;
  if ((method & 0x0f) !== 8 || (method * 256 + flags) % 31 !== 0)
    throw new ProtocolError('the first header block does not begin a zlib stream');
  if ((flags & ZLIB_HAS_DICTIONARY) === 0 || bytes.readUInt32BE(2) !== DICTIONARY_ID)
    throw new ProtocolError('header blocks are compressed without the dictionary of SPDY/3');
  return bytes.subarray(ZLIB_HEADER_BYTES);
}

function slide(window: Buffer, text: Buffer, size: number): Buffer {
  return Buffer.concat([window, text]).subarray(-size);
}

function textOf(headers: Headers): Buffer {
  const strings = [...headers].flat();
  const pieces = strings.map((string) => Buffer.from(string, 'utf8'));
  const text = Buffer.allocUnsafe(4 + pieces.reduce((sum, piece) => sum + 4 + piece.length, 0));
  let at = text.writeUInt32BE(headers.size);
  for (const piece of pieces) {
    at = text.writeUInt32BE(piece.length, at);
    at += piece.copy(text, at);
  }
  return text;
}

function headersOf(text: Buffer): Headers {
  let at = 0;
  const number = (): number => {
    if (at + 4 > text.length) throw new ProtocolError('a header block is cut short');
    at += 4;
    return text.readUInt32BE(at - 4);
  };
  const string = (): string => {
    const length = number();
    if (length > text.length - at) throw new ProtocolError('a header block is cut short');
    at += length;
    return text.toString('utf8', at - length, at);
  };
  const count = number();
  if (count > MAX_HEADERS) throw new ProtocolError(`a header block has ${count} headers`);
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index += 1) {
    const name = string();
    if (name === '' || name !== name.toLowerCase())
      throw new ProtocolError(`${JSON.stringify(name.slice(0, 64))} is no name of a header`);
    if (headers.has(name)) throw new ProtocolError(`header ${name.slice(0, 64)} is there twice`);
    headers.set(name, string());
  }
  if (at !== text.length) throw new ProtocolError('a header block is longer than its headers');
  return headers;
}
