/** Writing files on a worker thread: one round trip instead of one for each of open, write, sync, close and rename. */
import { writeFileAtomicSync } from '../lib/atomic-file.ts';
import type { WriteOptions } from '../lib/atomic-file.ts';
import type { Job } from './threads/job.ts';

export interface WriteJob {
  readonly path: string;
  readonly data: string;
  readonly options: WriteOptions;
}

export const jobs: Readonly<Record<string, Job>> = {
  'files.write': (arg) => {
    const { path, data, options } = arg as WriteJob;
    writeFileAtomicSync(path, data, options);
  },
};
