import { Buffer } from 'node:buffer';
import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { BerthError } from '../../lib/errors.ts';
import { type ByteChannel, InputQueue } from '../channel.ts';
import type { ChannelProtocol } from '../protocols.ts';

/** What may wait to be read, all channels together, before the client has to. */
const MAX_UNREAD_BYTES = 1024 * 1024;
const PIECE_BYTES = 128;
/** In place of a channel's number: the channel whose number follows has ended (v5). */
const CLOSE_SIGNAL = 255;
const DIGIT_ZERO = 0x30;
/** A client that we do not read from may be gone: writing tells. */
const PROBE_MS = 15_000;
const NORMAL_CLOSURE = 1000;
const FINAL_BINARY = 0x82;

class Channel implements ByteChannel {
  readonly input: InputQueue;
  readonly #owner: WebSocketChannels;
  readonly #number: number;
  #ended = false;

  constructor(owner: WebSocketChannels, number: number, taken: (bytes: number) => void) {
    this.#owner = owner;
    this.#number = number;
    this.input = new InputQueue(taken);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#ended) throw new BerthError('CANCELLED', 'the channel has ended');
    await this.#owner.send(this.#number, bytes);
  }

  /** The protocols have no way to tell the client; it learns with the connection's end. */
  end(): void {
    this.#ended = true;
  }

  discardInput(): void {
    this.input.discard();
  }
}

/** Numbered channels in the messages of one WebSocket: the first byte of each is the number, or in base64 a digit. */
export class WebSocketChannels {
  readonly channels: readonly ByteChannel[];
  readonly #socket: WebSocket;
  readonly #transport: Duplex;
  readonly #protocol: ChannelProtocol;
  readonly #lingerMs: number;
  readonly #inputs: readonly Channel[];
  readonly #gone = new AbortController();
  #unread = 0;
  #probe: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;

  /** @param transport what the WebSocket is on. @param options how many channels; see StreamingLimits. */
  constructor(
    socket: WebSocket,
    transport: Duplex,
    protocol: ChannelProtocol,
    { count, lingerMs }: { readonly count: number; readonly lingerMs: number },
  ) {
    this.#socket = socket;
    this.#transport = transport;
    this.#protocol = protocol;
    this.#lingerMs = lingerMs;
    // One for each channel.
    setMaxListeners(0, this.#gone.signal);
    this.#inputs = Array.from(
      { length: count },
      (_, number) => new Channel(this, number, (n) => this.#taken(n)),
    );
    this.channels = this.#inputs;
    socket.on('message', (data: RawData) => this.#receive(data as Buffer));
    // Told by the close that follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost());
  }

  /** Aborts, CANCELLED, when the connection is gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when the message was handed to the kernel. Throws CANCELLED when the connection is gone. */
  send(number: number, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void => {
        if (error instanceof Error) reject(gone());
        else resolve();
      };
      if (this.#protocol.base64) this.#socket.send(base64Message(number, bytes), { binary: false }, done);
      else if (this.#socket.readyState === this.#socket.OPEN) this.#sendBinary(number, bytes, done);
      else reject(gone());
    });
  }

  /**
   * Ends the connection once what was written is sent. Resolves when it is gone. The client learns at once that nothing more comes: one
   * that waits for the connection's end would lose two journeys until it had answered and been answered.
   */
  async close(): Promise<void> {
    for (const { input } of this.#inputs) input.discard();
    this.#socket.close(NORMAL_CLOSURE);
    this.#transport.end(() => {
      if (!this.signal.aborted) this.#linger ??= setTimeout(() => this.#socket.terminate(), this.#lingerMs);
    });
    this.#transport.on('data', () => this.#linger?.refresh());
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) =>
      this.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  }

  /**
   * ws takes a message in one piece, so that every byte would be copied behind its channel's number. It writes its own frames at once, and
   * this is one between them.
   */
  #sendBinary(number: number, bytes: Uint8Array, done: (error?: Error | null) => void): void {
    this.#transport.cork();
    this.#transport.write(binaryHead(number, bytes.length), bytes.length === 0 ? done : undefined);
    if (bytes.length > 0) this.#transport.write(bytes, done);
    this.#transport.uncork();
  }

  #receive(data: Buffer): void {
    const first = data[0];
    if (first === undefined) return;
    if (this.#protocol.closeSignal && first === CLOSE_SIGNAL) {
      if (data.length === 2) this.#inputs[data[1] ?? 0]?.input.end();
      return;
    }
    const channel = this.#inputs[this.#protocol.base64 ? first - DIGIT_ZERO : first];
    // Of a channel that is not there nothing is expected, as nothing is said about it.
    if (channel === undefined) return;
    const rest = data.subarray(1);
    const bytes = this.#protocol.base64 ? Buffer.from(rest.toString('latin1'), 'base64') : rest;
    if (bytes.length === 0) return;
    this.#unread += bytes.length + PIECE_BYTES;
    channel.input.push(bytes);
    if (this.#unread > MAX_UNREAD_BYTES && !this.#socket.isPaused) {
      this.#socket.pause();
      this.#probe = setInterval(() => this.#socket.ping(), PROBE_MS);
    }
  }

  #taken(bytes: number): void {
    this.#unread -= bytes + PIECE_BYTES;
    if (this.#unread > MAX_UNREAD_BYTES / 2 || !this.#socket.isPaused) return;
    clearInterval(this.#probe);
    this.#socket.resume();
  }

  #lost(): void {
    clearInterval(this.#probe);
    clearTimeout(this.#linger);
    for (const { input } of this.#inputs) input.fail(gone());
    this.#gone.abort(gone());
  }
}

/** What a binary message on a channel begins with (RFC 6455, 5.2): one frame, which a server does not mask, and the number. */
function binaryHead(number: number, length: number): Buffer {
  const payload = 1 + length;
  const extended = payload < 126 ? 0 : payload <= 0xffff ? 2 : 8;
  const head = Buffer.allocUnsafe(3 + extended);
  head[0] = FINAL_BINARY;
  head[1] = extended === 0 ? payload : extended === 2 ? 126 : 127;
  if (extended === 2) head.writeUInt16BE(payload, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(payload), 2);
  head[2 + extended] = number;
  return head;
}

function base64Message(number: number, bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return `${String.fromCharCode(DIGIT_ZERO + number)}${text}`;
}

function gone(): BerthError {
  return new BerthError('CANCELLED', 'the client is gone');
}
