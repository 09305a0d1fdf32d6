import { Buffer } from 'node:buffer';
import { setMaxListeners } from 'node:events';
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
/** After our last message, how long the client has to close. */
const LINGER_MS = 5_000;
const NORMAL_CLOSURE = 1000;

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
  readonly #protocol: ChannelProtocol;
  readonly #inputs: readonly Channel[];
  readonly #gone = new AbortController();
  #unread = 0;
  #probe: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, protocol: ChannelProtocol, count: number) {
    this.#socket = socket;
    this.#protocol = protocol;
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
    const { base64 } = this.#protocol;
    const message = base64 ? base64Message(number, bytes) : binaryMessage(number, bytes);
    return new Promise((resolve, reject) => {
      this.#socket.send(message, { binary: !base64 }, (error) => {
        if (error instanceof Error) reject(gone());
        else resolve();
      });
    });
  }

  /** Ends the connection once what was written is sent. Resolves when it is gone. */
  async close(): Promise<void> {
    for (const { input } of this.#inputs) input.discard();
    this.#socket.close(NORMAL_CLOSURE);
    if (this.signal.aborted) return;
    this.#linger ??= setTimeout(() => this.#socket.terminate(), LINGER_MS);
    await new Promise<void>((resolve) =>
      this.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
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

function binaryMessage(number: number, bytes: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(1 + bytes.length);
  message[0] = number;
  message.set(bytes, 1);
  return message;
}

function base64Message(number: number, bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return `${String.fromCharCode(DIGIT_ZERO + number)}${text}`;
}

function gone(): BerthError {
  return new BerthError('CANCELLED', 'the client is gone');
}
