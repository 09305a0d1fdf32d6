/** Asks the plugins for their STATUS in the background, so that no CRI call ever waits for one. */
import { messageOf } from '../../../lib/errors.ts';
import { deadlineSignal } from '../../../lib/deadline.ts';
import { isExhausted } from '../exhausted.ts';
import { cniCodeOf } from '../plugin-call.ts';
import type { NetworkList } from '../types.ts';
import type { StatusVerdict } from './readiness.ts';

export interface ProberOptions {
  /** Rejects when a plugin of the network says no; Chain.status. */
  readonly probe: (network: NetworkList, options: { readonly signal: AbortSignal }) => Promise<void>;
  /** The networks in use at the moment of a probe. */
  readonly networks: () => readonly NetworkList[];
  /** Told when the verdict changes in more than its time. */
  readonly onChange?: (verdict: StatusVerdict) => void;
  readonly intervalMs?: number;
  /** A plugin that hangs is asked less and less often, up to this. */
  readonly maxIntervalMs?: number;
  /** For all plugins of one network. */
  readonly timeoutMs?: number;
}

const INTERVAL_MS = 5_000;
const MAX_INTERVAL_MS = 60_000;
const TIMEOUT_MS = 10_000;
const UNASKED: StatusVerdict = {
  ok: true,
  network: '',
  error: '',
  code: 0,
  isTimeout: false,
  isExhausted: false,
  at: '',
};

export class StatusProber {
  readonly #options: ProberOptions;
  #verdict = UNASKED;
  #timer: NodeJS.Timeout | undefined;
  #timeoutsInRow = 0;
  #isProbing = false;
  #isWanted = false;
  #stopping = new AbortController();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** What the last probe found. Good until the first one has answered. */
  get verdict(): StatusVerdict {
    return this.#verdict;
  }

  start(): void {
    this.#stopping = new AbortController();
    this.kick();
  }

  /** Ends a probe that is under way, too. */
  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
  }

  /** Probes now, or right after the probe that is under way: the networks have changed. */
  kick(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#isProbing) {
      this.#isWanted = true;
      return;
    }
    clearTimeout(this.#timer);
    void this.#round();
  }

  async #round(): Promise<void> {
    this.#isProbing = true;
    const verdict = await this.#probeAll();
    this.#isProbing = false;
    if (this.#stopping.signal.aborted) return;
    const isChanged = timeless(verdict) !== timeless(this.#verdict);
    this.#verdict = verdict;
    this.#timeoutsInRow = verdict.isTimeout ? this.#timeoutsInRow + 1 : 0;
    if (isChanged) this.#options.onChange?.(verdict);
    const { intervalMs = INTERVAL_MS, maxIntervalMs = MAX_INTERVAL_MS } = this.#options;
    const wait = this.#takeWanted() ? 0 : Math.min(intervalMs * 2 ** this.#timeoutsInRow, maxIntervalMs);
    this.#timer = setTimeout(() => this.kick(), wait).unref();
  }

  #takeWanted(): boolean {
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    return isWanted;
  }

  async #probeAll(): Promise<StatusVerdict> {
    let asked = '';
    let exhausted: StatusVerdict | undefined;
    for (const network of this.#options.networks()) {
      asked = network.name;
      const problem = await this.#probe(network);
      if (problem === undefined) continue;
      const verdict = { ok: false, network: asked, at: new Date().toISOString(), ...problem };
      if (!problem.isExhausted) return verdict;
      exhausted ??= verdict;
    }
    return exhausted ?? { ...UNASKED, network: asked, at: new Date().toISOString() };
  }

  async #probe(
    network: NetworkList,
  ): Promise<Pick<StatusVerdict, 'error' | 'code' | 'isTimeout' | 'isExhausted'> | undefined> {
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    using limit = deadlineSignal('STATUS', timeoutMs, this.#stopping.signal);
    try {
      await this.#options.probe(network, { signal: limit.signal });
      return undefined;
    } catch (error) {
      const isTimeout = limit.signal.aborted;
      return {
        error: messageOf(error),
        code: cniCodeOf(error),
        isTimeout,
        isExhausted: !isTimeout && isExhausted(error),
      };
    }
  }
}

/** What a verdict says apart from when it was given and how long that took. */
function timeless(verdict: StatusVerdict): string {
  return JSON.stringify({ ...verdict, at: '', error: verdict.error.replace(/\(after [\d.]+ ms/, '') });
}
