import { Duplex } from 'node:stream';

/** The two ends of a connection in memory. A write waits until the other end has read it, as TCP with a small buffer. */
export function duplexPair(): [Duplex, Duplex] {
  const a: End = new End(() => b);
  const b: End = new End(() => a);
  return [a, b];
}

class End extends Duplex {
  readonly #peer: () => End;
  #taken: (() => void) | undefined;

  constructor(peer: () => End) {
    super({ highWaterMark: 16 * 1024, allowHalfOpen: true });
    this.#peer = peer;
  }

  override _read(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const peer = this.#peer();
    if (peer.destroyed) {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      return;
    }
    if (peer.push(chunk)) setImmediate(done);
    else peer.#taken = done;
  }

  override _final(done: () => void): void {
    this.#peer().push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const peer = this.#peer();
    // The connection is reset for the other end.
    setImmediate(() => peer.destroy());
    done(error);
  }
}
