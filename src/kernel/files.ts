import type { Files } from '../lib/atomic-file.ts';
import type { WriteJob, WriteOutcomes } from './file-jobs.ts';
import { factsToError } from './threads/errors.ts';
import type { ThreadPool } from './threads/pool.ts';

/** The jobs module that the pool of threadedFiles must load. */
export const fileJobsModule = new URL('./file-jobs.js', import.meta.url);

interface Waiting {
  readonly job: WriteJob;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Files that are changed on worker threads. What is written in one turn of the event loop, and is not synced, goes there together. */
export function threadedFiles(pool: ThreadPool): Files {
  const together = batch(pool);
  return {
    write: (path, data, options = {}) => {
      const job = { path, data, options };
      if (options.sync !== true) return together(job);
      return new Promise((resolve, reject) => void send(pool, [{ job, resolve, reject }]));
    },
    append: (path, data) => together({ path, data }),
    remove: async (paths) => {
      await pool.call('files.remove', paths);
    },
  };
}

function batch(pool: ThreadPool): (job: WriteJob) => Promise<void> {
  let waiting: Waiting[] = [];
  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject });
      if (waiting.length > 1) return;
      setImmediate(() => {
        void send(pool, waiting);
        waiting = [];
      });
    });
}

async function send(pool: ThreadPool, files: readonly Waiting[]): Promise<void> {
  try {
    const outcomes = (await pool.call(
      'files.write',
      files.map(({ job }) => job),
    )) as WriteOutcomes;
    for (const [index, { resolve, reject }] of files.entries()) {
      const failure = outcomes[index];
      if (failure === undefined) resolve();
      else reject(factsToError(failure));
    }
  } catch (error) {
    for (const { reject } of files) reject(error);
  }
}
