/** What a client sends and takes on one channel of its connection, whatever carries it. */
export interface ByteChannel {
  /**
   * What the other side sends, to its end; throws when the connection is lost. To be iterated once; until somebody does, the other
   * side has to wait.
   */
  readonly input: AsyncIterable<Uint8Array>;
  /**
   * Resolves when there is room for more; one call after the other. The bytes belong to the channel from then on. Throws CANCELLED when
   * the other side is gone or takes no more.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Nothing more will be written. */
  end(): void;
  /** What the other side still sends is of no interest. */
  discardInput(): void;
}

/** A queue between who receives chunks and who iterates over them. */
export class InputQueue implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #taken: (bytes: number) => void;
  #chunks: Uint8Array[] = [];
  #waiting:
    | { resolve: (next: IteratorResult<Uint8Array, undefined>) => void; reject: (error: Error) => void }
    | undefined;
  #over: { readonly error?: Error } | undefined;
  #discards = false;

  /** @param taken told of each chunk that was asked for, or discarded. */
  constructor(taken: (bytes: number) => void) {
    this.#taken = taken;
  }

  push(chunk: Uint8Array): void {
    if (this.#discards || this.#over !== undefined) {
      this.#taken(chunk.length);
      return;
    }
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#chunks.push(chunk);
      return;
    }
    this.#waiting = undefined;
    this.#taken(chunk.length);
    waiting.resolve({ value: chunk, done: false });
  }

  /** The other side has ended; what is queued is still to be had. */
  end(): void {
    this.#finish({});
  }

  /** The connection is lost; so is what is queued. */
  fail(error: Error): void {
    this.#drop();
    this.#finish({ error });
  }

  discard(): void {
    this.#discards = true;
    this.#drop();
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#taken(chunk.length);
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#over?.error !== undefined) return Promise.reject(this.#over.error);
    if (this.#over !== undefined || this.#discards) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.discard();
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(over: { readonly error?: Error }): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    if (over.error === undefined) this.#waiting?.resolve({ value: undefined, done: true });
    else this.#waiting?.reject(over.error);
    this.#waiting = undefined;
  }

  #drop(): void {
    const dropped = this.#chunks;
    this.#chunks = [];
    for (const chunk of dropped) this.#taken(chunk.length);
  }
}
