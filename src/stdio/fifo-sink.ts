import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { BerthError, isErrno, wrap } from '../lib/errors.ts';
import { openInput } from './fifos.ts';

/** A container that does not read its stdin makes writers wait; past this further ones are refused. */
const WAITING_BYTES = 1024 * 1024;

/** First pause between looks whether the container's side has opened the FIFO, in milliseconds; each is twice the one before. */
const FIRST_LOOK_MS = 5;
/** Past this it has opened and left again, or never will: 10 s in all. */
const LAST_LOOK_MS = 5_000;

/** Writes a container's stdin FIFO. The container meets the end of its stdin when this is closed, and not before. */
export class FifoSink {
  readonly #path: string;
  readonly #socket: Socket;
  #writes = 0;
  #ending = false;
  /** A second descriptor, for writing only: see #leave. */
  #kept: number | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#path = path;
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
    this.#ending = true;
    this.#socket.destroy();
    this.#letGo();
  }

  #closeAfterLast(): void {
    if (this.#ending && this.#writes === 0 && !this.#socket.destroyed) this.#leave();
  }

  /**
   * A shim opens the FIFO some time after the process was started. It would wait for a writer for ever, and what was written would
   * be lost, if everybody had left before: so a descriptor that only writes stays until there is a reader.
   */
  #leave(): void {
    this.#kept = openWriter(this.#path);
    this.#socket.once('close', () => this.#letGoWhenRead(FIRST_LOOK_MS));
    this.#socket.destroy();
  }

  #letGoWhenRead(pauseMs: number): void {
    if (this.#kept === undefined) return;
    const another = openWriter(this.#path);
    if (another !== undefined) closeSync(another);
    if (another !== undefined || pauseMs > LAST_LOOK_MS) this.#letGo();
    else this.#look = setTimeout(() => this.#letGoWhenRead(2 * pauseMs), pauseMs).unref();
  }

  #letGo(): void {
    clearTimeout(this.#look);
    if (this.#kept !== undefined) closeSync(this.#kept);
    this.#kept = undefined;
  }
}

/** Undefined when nobody has the FIFO open for reading, or when it is no more. */
function openWriter(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENXIO', 'ENOENT')) return undefined;
    throw error;
  }
}
