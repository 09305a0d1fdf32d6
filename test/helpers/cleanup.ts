/** What a test acquired, given back in reverse order, past failures. Node 20 has no AsyncDisposableStack. */
export class Cleanup implements AsyncDisposable {
  readonly #undo: (() => Promise<void>)[] = [];

  /** Takes charge of something that can be disposed of and returns it. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(async () => resource[Symbol.asyncDispose]());
    return resource;
  }

  defer(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `failed to clean up: ${failures.map(String).join('; ')}`);
  }
}
