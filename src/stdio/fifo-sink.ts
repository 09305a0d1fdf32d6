import { Socket } from 'node:net';
import { BerthError, messageOf } from '../lib/errors.ts';
import { openInput } from './fifos.ts';

/** A container that does not read its stdin makes writers wait; past this further ones are refused. */
const WAITING_BYTES = 1024 * 1024;

/** Writes a container's stdin FIFO. The container meets the end of its stdin when this is closed, and not before. */
export class FifoSink {
  readonly #socket: Socket;
  #failure: BerthError | undefined;

  constructor(path: string) {
    this.#socket = new Socket({ fd: openInput(path), readable: false, writable: true });
    this.#socket.on('error', (error) => {
      this.#failure = new BerthError('INTERNAL', `failed to write stdin: ${messageOf(error)}`, {
        cause: error,
      });
    });
  }

  /** Calls back when the FIFO took all of it, or when it cannot. */
  write(bytes: Uint8Array, taken: (error?: BerthError) => void): void {
    if (this.#socket.destroyed) {
      taken(this.#failure ?? new BerthError('FAILED_PRECONDITION', 'failed to write stdin: it is closed'));
      return;
    }
    if (this.#socket.writableLength > WAITING_BYTES) {
      taken(new BerthError('RESOURCE_EXHAUSTED', 'failed to write stdin: the container does not read it'));
      return;
    }
    this.#socket.write(bytes, (error) => {
      taken(error === null || error === undefined ? undefined : this.#wrapped(error));
    });
  }

  /** Closes it after what was written before: the container meets the end. Repeated calls are harmless. */
  end(): void {
    if (this.#socket.destroyed) return;
    // A FIFO cannot be shut down like a socket, so the end is a write that comes after all others.
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.once('drain', () => this.#socket.destroy());
  }

  /** Closes it now; what waits is lost. */
  close(): void {
    this.#socket.destroy();
  }

  #wrapped(error: Error): BerthError {
    return new BerthError('INTERNAL', `failed to write stdin: ${messageOf(error)}`, { cause: error });
  }
}
