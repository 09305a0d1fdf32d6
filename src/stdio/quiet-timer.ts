/**
 * Tells when nothing has come for so long. A thread that was held up finds its timers due before it has looked at what came meanwhile:
 * so when the time is over, all that waits to be read is read first.
 */
export class QuietTimer {
  readonly #timer: NodeJS.Timeout;
  #look: NodeJS.Immediate | undefined;

  /** @param over called once, unless something comes: then again after it. */
  constructor(ms: number, over: () => void) {
    // Immediates come after the loop's look at its descriptors.
    this.#timer = setTimeout(() => {
      this.#look = setImmediate(over);
    }, ms);
  }

  /** Something came, or the time begins anew for another reason. */
  refresh(): void {
    clearImmediate(this.#look);
    this.#timer.refresh();
  }

  stop(): void {
    clearImmediate(this.#look);
    clearTimeout(this.#timer);
  }
}
