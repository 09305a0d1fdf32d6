import { closeSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { openOutput } from './fifos.ts';

export interface SourceEvents {
  /** The chunk is valid only during the call. */
  readonly data: (chunk: Buffer) => void;
  /** Nothing comes any more: everybody closed it after release(), or reading failed. */
  readonly end: (error?: Error) => void;
}

/**
 * Reads one output FIFO through epoll. The stream has no end as long as our own write end is open: a shim that is not
 * there yet, or a writer that comes back, is no end. After release() it ends when the last writer closes.
 */
export class FifoSource {
  readonly #socket: Socket;
  #keeper: number | undefined;
  #ended = false;

  /** All sources of a thread may share one buffer: it is read into and handed on in one go. */
  constructor(path: string, buffer: Buffer, events: SourceEvents) {
    const { reader, keeper } = openOutput(path);
    this.#keeper = keeper;
    const end = (error?: Error): void => {
      if (this.#ended) return;
      this.#ended = true;
      events.end(error);
    };
    const options: SocketConstructorOpts & ConnectOpts = {
      fd: reader,
      readable: true,
      writable: false,
      onread: {
        buffer,
        callback: (count) => {
          events.data(buffer.subarray(0, count));
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
    this.#socket.on('end', () => end());
    this.#socket.on('error', end);
    this.#socket.on('close', () => end());
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The writer waits once the FIFO is full. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** From now on the last writer's closing is the end. */
  release(): void {
    if (this.#keeper !== undefined) closeSync(this.#keeper);
    this.#keeper = undefined;
  }

  /** Stops reading at once. What is in the FIFO stays there as long as somebody else has it open. */
  close(): void {
    this.#ended = true;
    this.#socket.destroy();
    this.release();
  }
}
