import type { MessagePort } from 'node:worker_threads';
import { errorToFacts } from '../kernel/threads/errors.ts';
import { BerthError } from '../lib/errors.ts';
import type { OutputStream } from './cri-log.ts';
import type { FifoSink } from './fifo-sink.ts';
import type { ClientWishes, FromClient, ToClient } from './protocol.ts';

/** A client may be so many bytes behind, and is dropped then: a burst is no reason. */
const DROP_BYTES = 16 * 1024 * 1024;

export interface ClientEvents {
  readonly stdinEnd: () => void;
  readonly closed: () => void;
}

/** One attached client, on the pump thread: what goes out to it, and how far it is behind. */
export class Client {
  readonly #port: MessagePort;
  readonly #wishes: ClientWishes;
  readonly #events: ClientEvents;
  #behind = 0;
  #closed = false;

  constructor(port: MessagePort, wishes: ClientWishes, stdin: FifoSink | undefined, events: ClientEvents) {
    this.#port = port;
    this.#wishes = wishes;
    this.#events = events;
    port.on('message', (message: FromClient) => this.#receive(message, stdin));
    port.on('close', () => this.#close());
  }

  /** Sends a copy of the chunk if the client wants that stream. */
  write(stream: OutputStream, chunk: Uint8Array): void {
    if (!this.#wishes[stream] || this.#closed) return;
    if (this.#behind > DROP_BYTES) {
      this.fail(new BerthError('RESOURCE_EXHAUSTED', 'failed to attach: the client is too slow'));
      return;
    }
    const bytes = new Uint8Array(chunk);
    this.#behind += bytes.length;
    this.#port.postMessage({ kind: 'output', stream, bytes } satisfies ToClient, [bytes.buffer]);
  }

  /** The container's output is over. */
  end(): void {
    this.#post({ kind: 'end' });
    this.#close();
  }

  fail(error: BerthError): void {
    this.#post({ kind: 'failed', error: errorToFacts(error) });
    this.#close();
  }

  #receive(message: FromClient, stdin: FifoSink | undefined): void {
    switch (message.kind) {
      case 'taken':
        this.#behind -= message.bytes;
        return;
      case 'stdin':
        stdin?.write(message.bytes, (error) => {
          this.#post({ kind: 'stdin-taken', ...(error !== undefined && { error: errorToFacts(error) }) });
        });
        return;
      case 'stdin-end':
        this.#events.stdinEnd();
        return;
    }
  }

  #post(message: ToClient): void {
    if (!this.#closed) this.#port.postMessage(message);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.close();
    if (this.#wishes.stdin) this.#events.stdinEnd();
    this.#events.closed();
  }
}
