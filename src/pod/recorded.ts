import { type Identity, type RecordFiles, STATES_MOST } from './record-files.ts';

/** An object in memory: its immutable record, and its state, changed only through update(). */
export class Recorded<Record extends Identity, State extends object> {
  readonly record: Record;
  readonly #files: RecordFiles<Record, State>;
  #state: State;
  #writing: Promise<void> = Promise.resolve();
  #isForgotten = false;
  #states = 0;

  constructor(record: Record, files: RecordFiles<Record, State>, state: State) {
    this.record = record;
    this.#files = files;
    this.#state = state;
  }

  get id(): string {
    return this.record.id;
  }

  get state(): State {
    return this.#state;
  }

  /** Changes the state on disk, then in memory; changes follow one another in the order of the calls. */
  update(change: Partial<State>): Promise<void> {
    const written = this.#writing.then(async () => {
      if (!this.#isForgotten) await this.#write({ ...this.#state, ...change });
      // Taken anew: what changed in memory alone meanwhile stays.
      this.note(change);
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** As update(), for what has happened and is so whether it can be written or not: that it cannot is thrown, but memory is true. */
  async conclude(change: Partial<State>): Promise<void> {
    try {
      await this.update(change);
    } catch (error) {
      this.note(change);
      throw error;
    }
  }

  /** Removes it from disk, after what is being written. Later changes are in memory only. */
  forget(): Promise<void> {
    const removed = this.#writing.then(async () => {
      await this.#files.remove(this.id);
      this.#isForgotten = true;
    });
    this.#writing = removed.catch(() => undefined);
    return removed;
  }

  /** Changes the state in memory only; the next update writes it. */
  protected note(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
  }

  async #write(state: State): Promise<void> {
    if (this.#states >= STATES_MOST) {
      await this.#files.rewrite(this.record, state);
      this.#states = 0;
    } else {
      await this.#files.addState(this.id, state);
    }
    this.#states += 1;
  }
}
