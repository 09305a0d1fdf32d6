import type { Snapshots } from '../../containerd/snapshots.ts';
import type { FilesystemUsage__Output } from '../../gen/runtime/v1/FilesystemUsage.ts';
import { nowNanos } from '../../lib/time.ts';
import { gone } from './gone.ts';
import type { Snapshotters } from './snapshotters.ts';

/** How old a measurement may be, in milliseconds: a snapshotter walks each container's layer for it. */
const FRESH_MS = 10_000;

/**
 * What the snapshotters of runtime handlers take on disk, from memory: asking brings what was last measured, and has it measured anew when that is
 * some time ago. containerd itself tells of its common one; of one whose directory nobody knows nothing is told.
 */
export class SnapshotUsage {
  readonly #snapshotters: Snapshotters;
  #known: readonly FilesystemUsage__Output[] = [];
  /** On the clock of performance.now(). */
  #measuredAt = -Infinity;
  #measuring = false;

  constructor(snapshotters: Snapshotters) {
    this.#snapshotters = snapshotters;
  }

  get(): readonly FilesystemUsage__Output[] {
    if (!this.#measuring && performance.now() - this.#measuredAt > FRESH_MS) void this.#measure();
    return this.#known;
  }

  async #measure(): Promise<void> {
    this.#measuring = true;
    try {
      const [, ...own] = await this.#snapshotters.all();
      const known: FilesystemUsage__Output[] = [];
      for (const snapshots of own) {
        const mountpoint = await this.#snapshotters.directory(snapshots.snapshotter);
        if (mountpoint !== '') known.push(await usageOf(snapshots, mountpoint));
      }
      this.#known = known;
    } catch {
      // The engine, or a snapshotter that is a process of its own, is away: what is known stays.
    }
    this.#measuredAt = performance.now();
    this.#measuring = false;
  }
}

async function usageOf(snapshots: Snapshots, mountpoint: string): Promise<FilesystemUsage__Output> {
  const timestamp = nowNanos().toString();
  let bytes = 0;
  let inodes = 0;
  for (const { name } of await snapshots.list()) {
    const usage = await gone(snapshots.usage(name));
    bytes += usage?.bytes ?? 0;
    inodes += usage?.inodes ?? 0;
  }
  return {
    timestamp,
    fsId: { mountpoint },
    usedBytes: { value: String(bytes) },
    inodesUsed: { value: String(inodes) },
  };
}
