import { messageOf } from './errors.ts';

interface Undo {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

/** An undo that failed, and so left something behind. */
export interface UndoFailure {
  readonly name: string;
  readonly message: string;
}

/**
 * What has to be undone if the work in hand fails. The undo is registered at the moment of acquiring (for CNI: before
 * the ADD, since a failed ADD may leave something too); undone in reverse, every step, whatever fails. Each undo
 * brings its own deadline, never that of the call that failed.
 */
export class Rollback {
  readonly #undos: Undo[] = [];

  add(name: string, run: () => Promise<void> | void): void {
    this.#undos.push({ name, run });
  }

  /** Undoes everything, and names what could not be undone. */
  async run(): Promise<UndoFailure[]> {
    const failures: UndoFailure[] = [];
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      try {
        await undo.run();
      } catch (error) {
        failures.push({ name: undo.name, message: messageOf(error) });
      }
    }
    return failures;
  }
}
