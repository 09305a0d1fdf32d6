import type { Buffer } from 'node:buffer';
import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import { BerthError } from '../../lib/errors.ts';
import { dataHead, FrameDecoder, FrameEncoder } from './codec.ts';
import {
  type ControlFrame,
  type Frame,
  GoAwayStatus,
  type Headers,
  ProtocolError,
  ResetStatus,
  SETTING_INITIAL_WINDOW_SIZE,
} from './frames.ts';
import { SpdyStream, STREAM_WINDOW_BYTES, type StreamSession } from './stream.ts';

/** SPDY/3.1's own, until a peer says otherwise. */
const DEFAULT_WINDOW_BYTES = 64 * 1024;
const MAX_WINDOW_BYTES = 0x7fff_ffff;
/** Streams of the peer at a time. */
const MAX_STREAMS = 1_000;
/** What may be received and not yet read, all streams together; a peer that knows no windows waits for TCP then. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** What one received piece costs beside its bytes. */
const PIECE_BYTES = 128;
/** Answers that a peer does not read while it asks for more. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** Frames of one peer until everybody else has a turn: to take a header block apart costs a tenth of a millisecond. */
const FRAMES_A_TURN = 32;
/** A peer whom we do not read from may be gone: writing tells. */
const PROBE_MS = 15_000;
/** After our last byte, how long a peer may be silent. */
const LINGER_MS = 30_000;
/** How long a peer that does not speak SPDY has to close, whatever it says. */
const REFUSED_LINGER_MS = 5_000;

export interface SpdyOptions {
  readonly role: 'server' | 'client';
  /**
   * The peer is known to announce windows, so that the protocol's own hold until it does. Else it has to show that it does; one that is
   * known to have none (false) is told of none: it may close after its last byte, and writing then would lose what is not read yet.
   */
  readonly windowed?: boolean;
  /** After our last byte, how long the peer may be silent before it is given up. */
  readonly lingerMs?: number;
  /** Refuses a stream by its headers: false. */
  readonly accept?: (headers: Headers) => boolean;
  /** A stream of the peer; it is answered already. */
  readonly onStream?: (stream: SpdyStream) => void;
}

/**
 * A SPDY/3.1 session over a connection.
 *
 * Flow control: we announce windows, and keep to those of a peer that announces any. One that never does (Go's spdystream, which is
 * kubectl, kubelet and crictl) knows none: it is sent what it reads. A peer that does not keep to ours is not read from while more than
 * 4 MiB wait here.
 */
export class SpdySession implements StreamSession {
  readonly #transport: Duplex;
  readonly #options: SpdyOptions;
  readonly #encoder = new FrameEncoder();
  readonly #decoder = new FrameDecoder();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #gone = new AbortController();
  readonly #pings = new Map<number, () => void>();
  #lastPeerId = 0;
  #nextId: number;
  #nextPing: number;
  #peerStreams = 0;
  #windowed: boolean;
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #initialSendWindow = DEFAULT_WINDOW_BYTES;
  #receivedSinceUpdate = 0;
  #unread = 0;
  /** What is received, and not yet handled; meanwhile nothing else is received. */
  #frames: Iterator<Frame, void> | undefined;
  #closing = false;
  #probe: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #isRefused = false;

  constructor(transport: Duplex, options: SpdyOptions) {
    this.#transport = transport;
    // One for each stream.
    setMaxListeners(0, this.#gone.signal);
    this.#options = options;
    this.#windowed = options.windowed ?? false;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#nextPing = this.#nextId;
    transport.on('data', (chunk: Buffer) => this.#receive(chunk));
    transport.on('drain', () => {
      this.#wakeAll();
      this.#applyFlow();
    });
    // What ends one direction of the connection ends the session.
    transport.on('end', () => transport.destroy());
    transport.on('error', () => undefined);
    transport.on('close', () => this.#lost());
    if (options.windowed !== false)
      this.#send({
        kind: 'settings',
        values: new Map([[SETTING_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES]]),
      });
    // The session's own window never holds anybody up: its streams' do.
    this.sendWindowUpdate(0, MAX_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
    if (transport.destroyed) this.#lost();
  }

  /** Aborts, CANCELLED, when the connection is gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#streams.size;
  }

  get windowed(): boolean {
    return this.#windowed;
  }

  get room(): number {
    if (this.#transport.writableNeedDrain) return 0;
    return this.#windowed ? this.#sendWindow : Infinity;
  }

  /** Opens a stream. Throws CANCELLED when the connection is gone. */
  open(headers: Headers): SpdyStream {
    if (this.#closing || this.signal.aborted) throw gone();
    const stream = this.#add(this.#nextId, headers, { local: false, remote: false });
    this.#nextId += 2;
    this.#send({ kind: 'syn-stream', streamId: stream.id, fin: false, unidirectional: false, headers });
    return stream;
  }

  /** Resolves with the peer's answer. Throws CANCELLED when the connection is gone. */
  ping(): Promise<void> {
    const id = this.#nextPing;
    this.#nextPing = (this.#nextPing + 2) % MAX_WINDOW_BYTES;
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(gone());
      if (this.signal.aborted) {
        lost();
        return;
      }
      this.signal.addEventListener('abort', lost, { once: true });
      this.#pings.set(id, () => {
        this.signal.removeEventListener('abort', lost);
        resolve();
      });
      this.#send({ kind: 'ping', id });
    });
  }

  /** Ends all streams and the connection, once what was written is sent. Resolves when the connection is gone. */
  async close(): Promise<void> {
    if (!this.#closing) {
      for (const stream of [...this.#streams.values()]) {
        stream.end();
        stream.discardInput();
      }
      this.#goAway(GoAwayStatus.ok);
    }
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) =>
      this.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#transport.destroy();
  }

  sendData(streamId: number, bytes: Uint8Array, fin: boolean): void {
    if (this.#transport.destroyed) return;
    this.#sendWindow -= bytes.length;
    this.#transport.cork();
    this.#transport.write(dataHead(streamId, bytes.length, fin));
    if (bytes.length > 0) this.#transport.write(bytes);
    this.#transport.uncork();
  }

  sendReset(streamId: number, status: number): void {
    this.#send({ kind: 'rst-stream', streamId, status });
  }

  sendWindowUpdate(streamId: number, delta: number): void {
    if (this.#options.windowed === false) return;
    this.#send({ kind: 'window-update', streamId, delta });
  }

  taken(bytes: number): void {
    this.#unread -= bytes + PIECE_BYTES;
    this.#applyFlow();
  }

  forget(stream: SpdyStream): void {
    if (this.#streams.delete(stream.id) && this.#isPeers(stream.id)) this.#peerStreams -= 1;
  }

  #receive(chunk: Buffer): void {
    if (this.#closing) {
      if (!this.#isRefused) this.#linger?.refresh();
      return;
    }
    this.#frames = this.#decoder.push(chunk);
    this.#handleSome();
  }

  #handleSome(): void {
    try {
      for (let count = 0; count < FRAMES_A_TURN && this.#frames !== undefined; count += 1) {
        const next = this.#frames.next();
        if (next.done === true) this.#frames = undefined;
        else this.#handle(next.value);
        if (this.#closing) this.#frames = undefined;
      }
      if (this.#frames !== undefined) setImmediate(() => this.#handleSome());
    } catch (error) {
      this.#frames = undefined;
      if (!(error instanceof ProtocolError)) throw error;
      this.#lose(new BerthError('CANCELLED', `the peer does not speak SPDY/3.1: ${error.message}`));
      this.#goAway(GoAwayStatus.protocolError);
    }
    this.#applyFlow();
  }

  #handle(frame: Frame): void {
    switch (frame.kind) {
      case 'syn-stream':
        this.#opened(frame);
        return;
      case 'syn-reply':
      case 'headers':
        if (frame.fin) this.#streams.get(frame.streamId)?.endRemote();
        return;
      case 'data':
        this.#data(frame);
        return;
      case 'rst-stream':
        this.#streams.get(frame.streamId)?.lose(new BerthError('CANCELLED', 'the peer reset the stream'));
        return;
      case 'settings':
        this.#settings(frame.values);
        return;
      case 'window-update':
        this.#widen(frame);
        return;
      case 'ping':
        if (this.#isPeers(frame.id)) this.#send(frame);
        else this.#pings.get(frame.id)?.();
        this.#pings.delete(frame.id);
        return;
      case 'go-away':
        // Its connection ends next.
        return;
    }
  }

  #opened(frame: Frame & { kind: 'syn-stream' }): void {
    const { streamId, headers } = frame;
    if (!this.#isPeers(streamId) || streamId <= this.#lastPeerId)
      throw new ProtocolError(`stream ${streamId} cannot be opened after ${this.#lastPeerId}`);
    this.#lastPeerId = streamId;
    if (this.#peerStreams >= MAX_STREAMS || this.#options.accept?.(headers) === false) {
      this.sendReset(streamId, ResetStatus.refusedStream);
      return;
    }
    this.#peerStreams += 1;
    const stream = this.#add(streamId, headers, { local: frame.unidirectional, remote: frame.fin });
    if (!frame.unidirectional) this.#send({ kind: 'syn-reply', streamId, fin: false, headers: new Map() });
    this.#options.onStream?.(stream);
  }

  #data({ streamId, bytes, fin }: Frame & { kind: 'data' }): void {
    this.#receivedSinceUpdate += bytes.length;
    if (this.#receivedSinceUpdate > MAX_WINDOW_BYTES / 2) {
      this.sendWindowUpdate(0, this.#receivedSinceUpdate);
      this.#receivedSinceUpdate = 0;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      const known = this.#isPeers(streamId) ? streamId <= this.#lastPeerId : streamId < this.#nextId;
      // What was under way to a stream that we have reset is lost, and no fault of the peer's.
      if (!known) this.sendReset(streamId, ResetStatus.invalidStream);
      return;
    }
    if (stream.remoteEnded) {
      stream.reset(ResetStatus.streamAlreadyClosed);
      return;
    }
    if (bytes.length > 0) this.#unread += bytes.length + PIECE_BYTES;
    stream.receive(bytes, fin);
  }

  #settings(values: ReadonlyMap<number, number>): void {
    const size = values.get(SETTING_INITIAL_WINDOW_SIZE);
    if (size === undefined) return;
    if (size > MAX_WINDOW_BYTES) throw new ProtocolError(`an initial window of ${size} bytes is too large`);
    this.#windowed = true;
    const delta = size - this.#initialSendWindow;
    this.#initialSendWindow = size;
    for (const stream of this.#streams.values()) stream.widen(delta);
  }

  #widen({ streamId, delta }: Frame & { kind: 'window-update' }): void {
    this.#windowed = true;
    if (streamId !== 0) {
      const stream = this.#streams.get(streamId);
      if (stream?.widen(delta) === false) stream.reset(ResetStatus.flowControlError);
      return;
    }
    this.#sendWindow += delta;
    if (this.#sendWindow > MAX_WINDOW_BYTES)
      throw new ProtocolError('the window of the session is too large');
    this.#wakeAll();
  }

  #add(id: number, headers: Headers, ended: { local: boolean; remote: boolean }): SpdyStream {
    const stream = new SpdyStream(this, { id, headers, sendWindow: this.#initialSendWindow }, ended);
    this.#streams.set(id, stream);
    return stream;
  }

  #isPeers(id: number): boolean {
    return (id % 2 === 1) === (this.#options.role === 'server');
  }

  #send(frame: ControlFrame): void {
    if (!this.#transport.writable) return;
    this.#transport.write(this.#encoder.encode(frame));
  }

  /** Our last words; what comes after them is not read any more, but for its end. */
  #goAway(status: number): void {
    this.#closing = true;
    this.#send({ kind: 'go-away', lastStreamId: this.#lastPeerId, status });
    this.#applyFlow();
    this.#isRefused = status !== GoAwayStatus.ok;
    const { lingerMs = LINGER_MS } = this.#options;
    const linger = (ms: number): void => {
      if (!this.signal.aborted) this.#linger ??= setTimeout(() => this.#transport.destroy(), ms);
    };
    // A peer that reads slowly has its time; one that speaks something else has not.
    if (!this.#isRefused) this.#transport.end(() => linger(lingerMs));
    else {
      this.#transport.end();
      linger(REFUSED_LINGER_MS);
    }
  }

  #lost(): void {
    clearTimeout(this.#linger);
    clearInterval(this.#probe);
    this.#frames = undefined;
    this.#lose(gone());
    if (!this.signal.aborted) this.#gone.abort(gone());
  }

  #lose(error: Error): void {
    for (const stream of [...this.#streams.values()]) stream.lose(error);
  }

  #wakeAll(): void {
    for (const stream of this.#streams.values()) stream.wake();
  }

  /** Reads no more while something is left to handle, too much waits to be read, or the peer does not read our answers. */
  #applyFlow(): void {
    const full =
      this.#frames !== undefined ||
      this.#unread > MAX_UNREAD_BYTES ||
      this.#transport.writableLength > MAX_UNSENT_BYTES;
    const paused = this.#transport.isPaused();
    if (full && !this.#closing && !paused) {
      this.#transport.pause();
      this.#probe = setInterval(() => void this.ping().catch(() => undefined), PROBE_MS);
    }
    if (paused && (this.#closing || (this.#unread < MAX_UNREAD_BYTES / 2 && !full))) {
      clearInterval(this.#probe);
      this.#transport.resume();
    }
  }
}

function gone(): BerthError {
  return new BerthError('CANCELLED', 'the client is gone');
}
