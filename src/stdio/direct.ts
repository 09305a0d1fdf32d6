import { Buffer } from 'node:buffer';
import { wrap } from '../lib/errors.ts';
import type { TakeOutput } from './attach.ts';
import { FifoSink } from './fifo-sink.ts';
import { FifoSource } from './fifo-source.ts';
import type { FifoPaths } from './fifos.ts';
import { QuietTimer } from './quiet-timer.ts';

/** What one read brings at most: all that a FIFO holds. */
export const DIRECT_READ_BYTES = 64 * 1024;
/** The process waits for a client that is so many bytes behind, and goes on at half of it. */
const WAIT_BYTES = 512 * 1024;

/** What the client of a process takes and brings. */
export interface DirectClient {
  readonly stdout: TakeOutput;
  readonly stderr: TakeOutput;
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  /** Aborts when it is gone. */
  readonly signal: AbortSignal;
}

/**
 * The streams of a process that one client alone has and that nobody logs, carried on this thread: the client's connection is served here
 * anyway, and a message to another thread costs more than the bytes in it. The process waits for a slow client; for one that is gone, or
 * that could take no more, what it writes is thrown away.
 */
export class DirectStreams {
  /** Rejects with the signal's reason, or with what went wrong; it never resolves. */
  readonly failed: Promise<never>;
  readonly #sources: FifoSource[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #sink: FifoSink | undefined;
  readonly #stdin: AsyncIterator<Uint8Array> | undefined;
  #stopListening: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #hasFailed = false;
  /** One chunk after the other, in the order of their arrival. */
  #taking: Promise<void> = Promise.resolve();
  #behind = 0;
  #isPaused = false;
  #quiet: QuietTimer | undefined;

  /**
   * Opens the FIFOs; a terminal has no stderr. Everything that shares the buffer uses it in one go. Throws what the file system says, and
   * has nothing open then.
   */
  constructor({ stdin, stdout, stderr }: FifoPaths, client: DirectClient, buffer: Buffer) {
    this.failed = new Promise((_, reject) => {
      this.#fail = (error) => {
        this.#hasFailed = true;
        this.#setPaused(false);
        reject(error instanceof Error ? error : new Error(String(error)));
      };
    });
    // Its owner may look at it later, or never.
    this.failed.catch(() => undefined);
    try {
      this.#read(stdout, client.stdout, buffer);
      if (stderr !== undefined) this.#read(stderr, client.stderr, buffer);
      this.#sink = stdin === undefined ? undefined : new FifoSink(stdin);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#stdin = client.stdin?.[Symbol.asyncIterator]();
    const { signal } = client;
    const onAbort = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#stopListening = () => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  }

  /**
   * Carries the client's stdin from now on: the process has started. At its end the FIFO is closed and `onEnd` called; without that, as
   * for a terminal, it has no end.
   */
  carryStdin(onEnd: (() => Promise<void>) | undefined): void {
    if (this.#stdin !== undefined && this.#sink !== undefined)
      this.#carry(this.#stdin, this.#sink, onEnd).catch(this.#fail);
  }

  /**
   * After the end of the process: reads until nobody has its outputs open any more, or nothing has come for so long, and resolves when
   * the client has taken all of it. Rejects as `failed` does.
   */
  async drain(quietMs: number): Promise<void> {
    for (const source of this.#sources) source.release();
    const quiet = new Promise<void>((resolve) => {
      // Nothing comes either while the client makes the process wait.
      this.#quiet = new QuietTimer(quietMs, () => (this.#isPaused ? this.#quiet?.refresh() : resolve()));
    });
    try {
      await Promise.race([Promise.all(this.#ends), quiet, this.failed]);
      await Promise.race([this.#taking, this.failed]);
    } finally {
      this.#quiet?.stop();
    }
  }

  /** Closes all of it at once. */
  close(): void {
    for (const source of this.#sources) source.close();
    this.#sink?.close();
    // Not awaited: a source that waits for its next chunk answers only after it.
    this.#stdin?.return?.().catch(() => undefined);
    this.#stopListening();
  }

  #read(path: string, take: TakeOutput, buffer: Buffer): void {
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const source = new FifoSource(path, buffer, {
      data: (chunk) => this.#take(take, chunk),
      end: (error) => {
        if (error !== undefined) this.#fail(wrap('failed to read output', error, 'INTERNAL'));
        ended();
      },
    });
    this.#sources.push(source);
    this.#ends.push(end);
  }

  #take(take: TakeOutput, chunk: Buffer): void {
    this.#quiet?.refresh();
    if (this.#hasFailed) return;
    const bytes = Buffer.from(chunk);
    this.#behind += bytes.length;
    if (this.#behind >= WAIT_BYTES) this.#setPaused(true);
    this.#taking = this.#taking.then(async () => {
      if (this.#hasFailed) return;
      await take(bytes);
      this.#behind -= bytes.length;
      if (this.#behind <= WAIT_BYTES / 2) this.#setPaused(false);
    });
    this.#taking.catch(this.#fail);
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#isPaused || (paused && this.#hasFailed)) return;
    this.#isPaused = paused;
    for (const source of this.#sources) {
      if (paused) source.pause();
      else source.resume();
    }
  }

  async #carry(
    stdin: AsyncIterator<Uint8Array>,
    sink: FifoSink,
    onEnd: (() => Promise<void>) | undefined,
  ): Promise<void> {
    for (let next = await stdin.next(); next.done !== true; next = await stdin.next())
      await written(sink, next.value);
    if (onEnd === undefined) return;
    sink.end();
    await onEnd();
  }
}

function written(sink: FifoSink, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(bytes, (error) => (error === undefined ? resolve() : reject(error)));
  });
}
