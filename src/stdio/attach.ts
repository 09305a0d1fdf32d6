import type { MessagePort } from 'node:worker_threads';
import { factsToError } from '../kernel/threads/errors.ts';
import { BerthError } from '../lib/errors.ts';
import type { FromClient, ToClient } from './protocol.ts';

/** So much is taken before the container's side is told: a message costs as much as a chunk. Far less than a client may be behind. */
const TELL_BYTES = 128 * 1024;

/** Takes a chunk; the promise says when it has room for more. */
export type TakeOutput = (chunk: Uint8Array) => Promise<void> | void;

/** What a client brings and takes. A stream that the container has not is silent. */
export interface AttachStreams {
  readonly stdout?: TakeOutput;
  readonly stderr?: TakeOutput;
  readonly stdin?: AsyncIterable<Uint8Array>;
}

export interface AttachOptions {
  /** Detaches: the client is gone. */
  readonly signal: AbortSignal;
  /**
   * Has the engine close its own write end of the stdin FIFO (containerd: CloseIO). A shim holds one, so that a container does not
   * lose its stdin with us; without this its stdin would have no end.
   */
  readonly closeStdin?: () => Promise<void> | undefined;
}

/** One client of a container's streams. */
export interface Attachment {
  /**
   * Resolves when the container's output has ended and was taken, or, where that ends the session, when the client's stdin
   * has ended. Rejects with the signal's reason, with what a taker threw, or RESOURCE_EXHAUSTED for a client that is too slow.
   */
  readonly ended: Promise<void>;
}

export interface SessionOptions extends AttachOptions {
  /** The end of the client's stdin, or its going, is the end of the container's; else it is the end of the session. */
  readonly endsContainerStdin: boolean;
}

/** The main thread's side of an attached client. */
export class AttachSession implements Attachment {
  readonly ended: Promise<void>;
  readonly #port: MessagePort;
  readonly #streams: AttachStreams;
  readonly #options: SessionOptions;
  /** One chunk after the other, in the order of their arrival. */
  #taking: Promise<void> = Promise.resolve();
  #stdinTaken: ((error?: Error) => void) | undefined;
  /** And not yet told. */
  #taken = 0;
  #hadLast = false;
  #isOver = false;
  #settle: (error?: Error) => void = () => undefined;
  /** Ends what #untilOver waits for. */
  #stop: () => void = () => undefined;

  constructor(port: MessagePort, streams: AttachStreams, options: SessionOptions) {
    this.#port = port;
    this.#streams = streams;
    this.#options = options;
    const over = new Promise<void>((resolve, reject) => {
      this.#settle = (error) => {
        this.#isOver = true;
        this.#stop();
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    const { signal } = options;
    const onAbort = (): void => this.#settle(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.ended = over.finally(() => {
      signal.removeEventListener('abort', onAbort);
      port.close();
    });
    // Its owner may look at it later, or never.
    this.ended.catch(() => undefined);
    port.on('message', (message: ToClient) => this.#receive(message));
    port.on('close', () => {
      // After the last message the port is closed as it should be, while output may still be taken.
      if (this.#hadLast) return;
      this.#settle(new BerthError('UNAVAILABLE', 'failed to attach: the pump thread ended'));
    });
    if (streams.stdin !== undefined) void this.#sendStdin(streams.stdin);
  }

  #receive(message: ToClient): void {
    switch (message.kind) {
      case 'output': {
        const { stream, bytes } = message;
        this.#enqueue(async () => {
          await this.#streams[stream]?.(bytes);
          this.#tellTaken(bytes.length);
        });
        return;
      }
      case 'end':
        this.#hadLast = true;
        this.#enqueue(() => this.#settle());
        return;
      case 'failed':
        this.#settle(factsToError(message.error));
        return;
      case 'stdin-taken':
        this.#stdinTaken?.(message.error === undefined ? undefined : factsToError(message.error));
        return;
    }
  }

  #tellTaken(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < TELL_BYTES) return;
    this.#post({ kind: 'taken', bytes: this.#taken });
    this.#taken = 0;
  }

  #enqueue(step: () => Promise<void> | void): void {
    this.#taking = this.#taking.then(async () => {
      if (!this.#isOver) await step();
    });
    this.#taking.catch((error: unknown) => this.#settle(error as Error));
  }

  /** Sends chunk after chunk, each when the container's FIFO has taken the one before. */
  async #sendStdin(stdin: AsyncIterable<Uint8Array>): Promise<void> {
    const { endsContainerStdin, closeStdin } = this.#options;
    const chunks = stdin[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#untilOver(chunks.next());
        if (next === undefined || next.done === true) break;
        await this.#untilOver(this.#sendChunk(next.value));
      }
      this.#post({ kind: 'stdin-end' });
    } catch (error) {
      this.#settle(error as Error);
    } finally {
      // Not awaited: a source that waits for its next chunk answers only after it.
      chunks.return?.().catch(() => undefined);
    }
    // Also of a client that is gone.
    if (endsContainerStdin) await closeStdin?.()?.catch((error: unknown) => this.#settle(error as Error));
    else this.#enqueue(() => this.#settle());
  }

  /** What a promise brings; undefined once the session is over. A race with the session's own end would keep each chunk until then. */
  #untilOver<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#stop = () => resolve(undefined);
      if (this.#isOver) this.#stop();
      promise.then(resolve, reject);
    });
  }

  #sendChunk(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stdinTaken = (error) => (error === undefined ? resolve() : reject(error));
      const bytes = new Uint8Array(chunk);
      this.#post({ kind: 'stdin', bytes }, [bytes.buffer]);
    });
  }

  #post(message: FromClient, transfer: ArrayBuffer[] = []): void {
    if (!this.#isOver) this.#port.postMessage(message, transfer);
  }
}
