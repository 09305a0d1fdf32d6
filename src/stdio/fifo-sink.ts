import { Socket } from 'node:net';
import { BerthError, wrap } from '../lib/errors.ts';
import { openInput } from './fifos.ts';

/** A container that does not read its stdin makes writers wait; past this further ones are refused. */
const WAITING_BYTES = 1024 * 1024;

/** Writes a container's stdin FIFO. The container meets the end of its stdin when this is closed, and not before. */
export class FifoSink {
  readonly #socket: Socket;
  #writes = 0;
  #ending = false;

  constructor(path: string) {
    this.#socket = new Socket({ fd: openInput(path), readable: false, writable: true });
    // Each failed write tells its own caller.
    this.#socket.on('error', () => undefined);
  }

  /** Calls back when the FIFO took all of it, or when it cannot. */
  write(bytes: Uint8Array, taken: (error?: BerthError) => void): void {
    if (this.#socket.destroyed || this.#ending) {
      taken(new BerthError('FAILED_PRECONDITION', 'failed to write stdin: it is closed'));
      return;
    }
    if (this.#socket.writableLength > WAITING_BYTES) {
      taken(new BerthError('RESOURCE_EXHAUSTED', 'failed to write stdin: the container does not read it'));
      return;
    }
    this.#writes += 1;
    this.#socket.write(bytes, (error) => {
      this.#writes -= 1;
      this.#closeAfterLast();
      taken(error instanceof Error ? wrap('failed to write stdin', error, 'INTERNAL') : undefined);
    });
  }

  /** Closes it after what was written before. A FIFO has no half-close as a socket has: the end is the descriptor's own. */
  end(): void {
    this.#ending = true;
    this.#closeAfterLast();
  }

  /** Closes it now; what waits is lost. */
  close(): void {
    this.#socket.destroy();
  }

  #closeAfterLast(): void {
    if (this.#ending && this.#writes === 0) this.#socket.destroy();
  }
}
