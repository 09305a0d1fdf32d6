/**
 * Lets many operations run together, or one alone. The one that wants to be alone waits until nothing runs and
 * never holds newcomers up while it waits: a plugin that hangs in one ADD must not stop every other pod behind
 * a garbage collection.
 */
export class Gate {
  #running = 0;
  #isExclusive = false;
  readonly #waiting = new Set<() => void>();

  /** Runs the work beside other shared work, once no exclusive work runs. Throws the abort reason. */
  async shared<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#isExclusive) await this.#change(signal);
    signal.throwIfAborted();
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#wake();
    }
  }

  /** Runs the work alone. Throws the abort reason when there was no quiet moment. */
  async exclusive<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#isExclusive || this.#running > 0) await this.#change(signal);
    signal.throwIfAborted();
    this.#isExclusive = true;
    try {
      return await work();
    } finally {
      this.#isExclusive = false;
      this.#wake();
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
    signal.throwIfAborted();
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}
