import type { WriteFile } from '../lib/atomic-file.ts';
import type { WriteJob } from './file-jobs.ts';
import type { ThreadPool } from './threads/pool.ts';

/** The jobs module that the pool of threadedWrite must load. */
export const fileJobsModule = new URL('./file-jobs.js', import.meta.url);

/** writeFileAtomic on a worker thread. */
export function threadedWrite(pool: ThreadPool): WriteFile {
  return async (path, data, options = {}) => {
    const job: WriteJob = { path, data, options };
    await pool.call('files.write', job);
  };
}
