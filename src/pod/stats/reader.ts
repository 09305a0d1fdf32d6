import type { ThreadPool } from '../../kernel/threads/pool.ts';
import { type CgroupTrees, findCgroupTrees } from './cgroup/trees.ts';
import type { FilesystemReading } from './filesystem.ts';
import type { InterfaceReading } from './interfaces.ts';
import type { CgroupsJob } from './jobs.ts';
import type { Part, Reading } from './reading.ts';

/** The jobs module that the pool of a StatsReader must load. */
export const statsJobsModule = new URL('./jobs.js', import.meta.url);

/** Objects read in one job: some milliseconds, so that other jobs of the same thread need not wait long. */
const AT_ONCE = 32;

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * What the kernel counts, for the main thread. Reading a file of a cgroup can wait for the kernel to sum up the counts of every
 * CPU, and there are thousands of them: so it is done on a worker thread.
 */
export class StatsReader {
  readonly #pool: Pick<ThreadPool, 'call'>;
  #trees: CgroupTrees | undefined;

  /** The pool must load statsJobsModule. Without trees they are looked for when they are needed first. */
  constructor(pool: Pick<ThreadPool, 'call'>, trees?: CgroupTrees) {
    this.#pool = pool;
    this.#trees = trees;
  }

  /** Parts of cgroups, given by their paths from the root; '' for none. See readCgroup. */
  async cgroups(
    paths: readonly string[],
    parts: readonly Part[],
    options: ReadOptions = {},
  ): Promise<Reading[]> {
    const trees = (this.#trees ??= findCgroupTrees());
    const readings = await inTurns(paths, (some) => {
      const job: CgroupsJob = { trees, paths: some, parts };
      return this.#pool.call('stats.cgroups', job, options);
    });
    return readings as Reading[];
  }

  /** The interfaces of network namespaces, given by path. See readInterfaces. */
  async interfaces(
    netns: readonly string[],
    options: ReadOptions = {},
  ): Promise<(InterfaceReading[] | undefined)[]> {
    const readings = await inTurns(netns, (some) => this.#pool.call('stats.interfaces', some, options));
    return readings as (InterfaceReading[] | undefined)[];
  }

  /** See readFilesystem. */
  async filesystem(directory: string, options: ReadOptions = {}): Promise<FilesystemReading | undefined> {
    return (await this.#pool.call('stats.filesystem', directory, options)) as FilesystemReading | undefined;
  }
}

async function inTurns<T>(
  all: readonly T[],
  read: (some: readonly T[]) => Promise<unknown>,
): Promise<unknown[]> {
  const results: unknown[] = [];
  for (let i = 0; i < all.length; i += AT_ONCE) {
    results.push(...((await read(all.slice(i, i + AT_ONCE))) as unknown[]));
  }
  return results;
}
