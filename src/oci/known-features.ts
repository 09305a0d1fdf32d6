import { setMaxListeners } from 'node:events';
import { deadlineSignal, raceSignal, sleep } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { ANSWER_MS, detectRuntimeFeatures, type RuntimeFeatures } from './runtime-features.ts';

/** How long things take; tests are in more of a hurry. */
const TIMES = {
  /** The most that the first answers are waited for. */
  firstMs: 5_000,
  answerMs: ANSWER_MS,
  firstPauseMs: 1_000,
  mostPauseMs: 60_000,
};
/** Some two minutes of exiting with an error: it does not know the question. Before that it may be a machine that is out of something. */
const REFUSALS_BELIEVED = 8;

/** What the OCI runtimes of the handlers can do, as far as they have told. */
export class KnownFeatures {
  readonly #log: Logger;
  readonly #times: typeof TIMES;
  /** By the handler's name. */
  readonly #known = new Map<string, RuntimeFeatures>();
  readonly #stopping = new AbortController();

  constructor(log: Logger, times: Partial<typeof TIMES> = {}) {
    this.#log = log;
    this.#times = { ...TIMES, ...times };
    // One for each runtime.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Nothing, of one that has not told. */
  of(handler: string): RuntimeFeatures {
    const nothing = { name: handler, recursiveReadOnly: false, idmap: false, userNamespaces: false };
    return this.#known.get(handler) ?? nothing;
  }

  /**
   * Asks the runtimes, given by their handlers. Resolves once each was asked, and after five seconds in any case: a slow answer counts when it
   * comes, and one that cannot be asked is asked again, with back-off, until stop().
   */
  async ask(binaries: ReadonlyMap<string, string>): Promise<void> {
    using first = deadlineSignal('asking', this.#times.firstMs, this.#stopping.signal);
    const asked = [...binaries].map(
      ([handler, binary]) => new Promise<void>((resolve) => void this.#untilTold(handler, binary, resolve)),
    );
    await raceSignal(Promise.all(asked), first.signal).catch(() => {
      if (this.#stopping.signal.aborted) return;
      const handlers = [...binaries.keys()].filter((handler) => !this.#known.has(handler));
      this.#log.warn('OCI runtimes are slow to tell their features: calls are answered without', {
        handlers,
      });
    });
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#stopping.abort();
  }

  async #untilTold(handler: string, binary: string, asked: () => void): Promise<void> {
    const { signal } = this.#stopping;
    let pause = this.#times.firstPauseMs;
    let refusals = 0;
    for (let times = 1; !signal.aborted; times += 1) {
      const outcome = await this.#askOnce(handler, binary, times);
      asked();
      if (outcome === 'refused') refusals += 1;
      if (outcome === 'told' || refusals === REFUSALS_BELIEVED) return;
      await sleep(pause, signal);
      pause = Math.min(pause * 2, this.#times.mostPauseMs);
    }
  }

  async #askOnce(handler: string, binary: string, times: number): Promise<'told' | 'refused' | 'failed'> {
    const { signal } = this.#stopping;
    try {
      const options = { signal, timeoutMs: this.#times.answerMs };
      const { features, isRefusal } = await detectRuntimeFeatures(binary, options);
      this.#known.set(handler, features);
      if (isRefusal) return 'refused';
      if (times > 1) this.#log.info('the OCI runtime has told its features', { handler, times });
      return 'told';
    } catch (error) {
      // Once is enough in the log.
      if (times === 1 && !signal.aborted) {
        const failure = { handler, error: messageOf(error) };
        this.#log.warn('failed to ask the OCI runtime for its features: it is asked again', failure);
      }
      return 'failed';
    }
  }
}
