/**
 * A lock per key, first come first served. Held across awaits, so that operations on one object come one after
 * another while those on others go on.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs fn while holding the key. */
  async with<T>(key: string, fn: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(fn);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === settled) this.#tails.delete(key);
    }
  }

  /** Resolves once everything that held or awaited a key at the time of the call has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }
}
