import { BerthError } from '../../lib/errors.ts';
import { type ByteChannel, InputQueue } from '../channel.ts';
import { type Headers, ResetStatus } from './frames.ts';

/** What a peer may send of one stream before somebody has read it. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** A stream's DATA frames are no longer, so that others get their turn; what one read brings goes in one. */
const MAX_FRAME_BYTES = 64 * 1024;

/** What a stream needs of its session. */
export interface StreamSession {
  /** How much may be sent now, all streams together. */
  readonly room: number;
  /** The peer takes part in flow control. */
  readonly windowed: boolean;
  sendData(streamId: number, bytes: Uint8Array, fin: boolean): void;
  sendReset(streamId: number, status: number): void;
  sendWindowUpdate(streamId: number, delta: number): void;
  /** So many bytes that a stream had received were taken by their reader. */
  taken(bytes: number): void;
  /** Both sides have ended, or one has reset it. */
  forget(stream: SpdyStream): void;
}

/** One stream of a session: a channel with headers. */
export class SpdyStream implements ByteChannel {
  readonly id: number;
  readonly headers: Headers;
  readonly input: InputQueue;
  readonly #session: StreamSession;
  #sendWindow: number;
  /** Read, but not yet told to the peer. */
  #unannounced = 0;
  #localEnded: boolean;
  #remoteEnded: boolean;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(
    session: StreamSession,
    { id, headers, sendWindow }: { id: number; headers: Headers; sendWindow: number },
    ended: { readonly local: boolean; readonly remote: boolean },
  ) {
    this.id = id;
    this.headers = headers;
    this.#session = session;
    this.#sendWindow = sendWindow;
    this.#localEnded = ended.local;
    this.#remoteEnded = ended.remote;
    this.input = new InputQueue((bytes) => this.#taken(bytes));
    if (ended.remote) this.input.end();
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const room = await this.#roomForSome();
      const length = Math.min(bytes.length - at, room, MAX_FRAME_BYTES);
      this.#sendWindow -= length;
      this.#session.sendData(this.id, bytes.subarray(at, at + length), false);
      at += length;
    }
  }

  end(): void {
    if (this.#localEnded || this.#failure !== undefined) return;
    this.#localEnded = true;
    this.#session.sendData(this.id, new Uint8Array(0), true);
    this.wake();
    this.#forgetIfOver();
  }

  discardInput(): void {
    this.input.discard();
  }

  /** Ends both directions at once; what was written before may be lost. */
  reset(status: number = ResetStatus.cancel): void {
    if (this.#isOver) return;
    this.#session.sendReset(this.id, status);
    this.lose(new BerthError('CANCELLED', 'the stream was reset'));
  }

  /** The peer has said that it sends no more. */
  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  /** What the peer has sent. That it keeps to its window is not enforced: it may not have heard of it yet. */
  receive(bytes: Uint8Array, fin: boolean): void {
    if (bytes.length > 0) this.input.push(bytes);
    if (fin) this.endRemote();
  }

  endRemote(): void {
    this.#remoteEnded = true;
    this.input.end();
    this.#forgetIfOver();
  }

  /** The peer takes so much more; false when that makes more than a window can be. */
  widen(delta: number): boolean {
    this.#sendWindow += delta;
    this.wake();
    return this.#sendWindow <= 0x7fff_ffff;
  }

  /** Nothing can be sent or received any more. */
  lose(error: Error): void {
    if (this.#isOver) return;
    this.#failure = error;
    if (!this.#remoteEnded) this.input.fail(error);
    this.#session.forget(this);
    this.wake();
  }

  /** There may be room again. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  get #isOver(): boolean {
    return this.#failure !== undefined || (this.#localEnded && this.#remoteEnded);
  }

  async #roomForSome(): Promise<number> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#localEnded) throw new BerthError('CANCELLED', 'the stream has ended');
      const room = Math.min(this.#session.room, this.#session.windowed ? this.#sendWindow : Infinity);
      if (room > 0) return room;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #taken(bytes: number): void {
    this.#session.taken(bytes);
    this.#unannounced += bytes;
    if (this.#unannounced < STREAM_WINDOW_BYTES / 2 || this.#remoteEnded || this.#failure !== undefined)
      return;
    this.#session.sendWindowUpdate(this.id, this.#unannounced);
    this.#unannounced = 0;
  }

  #forgetIfOver(): void {
    if (this.#isOver) this.#session.forget(this);
  }
}
