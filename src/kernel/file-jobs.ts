/** Changing files on a worker thread: one round trip instead of one for each of open, write, sync, close and rename of each file. */
import { appendSync, removeAllSync, writeFileAtomicSync } from '../lib/atomic-file.ts';
import type { WriteOptions } from '../lib/atomic-file.ts';
import { errorToFacts } from './threads/errors.ts';
import type { ErrorFacts, Job } from './threads/job.ts';

export interface WriteJob {
  readonly path: string;
  readonly data: string;
  /** Absent: the data is added to the file. */
  readonly options?: WriteOptions;
}

/** What became of each file: undefined, or why it was not written. */
export type WriteOutcomes = readonly (ErrorFacts | undefined)[];

function write({ path, data, options }: WriteJob): ErrorFacts | undefined {
  try {
    if (options === undefined) appendSync(path, data);
    else writeFileAtomicSync(path, data, options);
    return undefined;
  } catch (error) {
    return errorToFacts(error);
  }
}

export const jobs: Readonly<Record<string, Job>> = {
  'files.write': (arg): WriteOutcomes => (arg as readonly WriteJob[]).map(write),
  'files.remove': (arg) => removeAllSync(arg as readonly string[]),
};
