import { nowNanos } from '../../lib/time.ts';
import type { StatsSource, WrittenLayer } from './source.ts';

/** A layer as it was at a moment (nanoseconds since the epoch). */
export interface MeasuredLayer extends WrittenLayer {
  readonly at: bigint;
}

interface Entry {
  /** On the clock of performance.now(). */
  readonly measuredAt: number;
  /** undefined when it could not be measured. */
  readonly layer: MeasuredLayer | undefined;
}

/** How old a measurement may be, in milliseconds: a snapshotter walks the whole layer for it. */
const FRESH_MS = 10_000;

/**
 * The sizes of writable layers, from memory: asking brings what was last measured, and has it measured anew, one layer after
 * the other, when that is some time ago. A layer that was never asked for is not known at first.
 */
export class WrittenLayers {
  readonly #source: StatsSource;
  readonly #freshMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #due = new Set<string>();
  #measuring = false;

  constructor(source: StatsSource, freshMs = FRESH_MS) {
    this.#source = source;
    this.#freshMs = freshMs;
  }

  get(id: string): MeasuredLayer | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || performance.now() - entry.measuredAt > this.#freshMs) {
      this.#due.add(id);
      if (!this.#measuring) void this.#measure();
    }
    return entry?.layer;
  }

  /** Works off what is due; a set may grow while it is walked. Forgets the layers of containers that have gone. */
  async #measure(): Promise<void> {
    this.#measuring = true;
    for (const id of this.#due) {
      this.#entries.set(id, { measuredAt: performance.now(), layer: await this.#layer(id) });
      this.#due.delete(id);
    }
    this.#measuring = false;
    const present = new Set(this.#source.containers().map((container) => container.id));
    for (const id of this.#entries.keys()) if (!present.has(id)) this.#entries.delete(id);
  }

  async #layer(id: string): Promise<MeasuredLayer | undefined> {
    try {
      return { ...(await this.#source.writtenLayer(id)), at: nowNanos() };
    } catch {
      // Removed meanwhile, or the engine is away: it has no size then.
      return undefined;
    }
  }
}
