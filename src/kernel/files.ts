import type { Files, WriteFile } from '../lib/atomic-file.ts';
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
  return {
    write: threadedWrite(pool),
    remove: async (paths) => {
      await pool.call('files.remove', paths);
    },
  };
}

function threadedWrite(pool: ThreadPool): WriteFile {
  let waiting: Waiting[] = [];
  return (path, data, options = {}) =>
    new Promise((resolve, reject) => {
      const one: Waiting = { job: { path, data, options }, resolve, reject };
      if (options.sync === true) {
        void send(pool, [one]);
        return;
      }
      waiting.push(one);
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
