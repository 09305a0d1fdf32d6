/** The jobs of the worker thread that reads what the kernel counts: files of cgroups and of /proc, and interfaces. */
import type { Job } from '../../kernel/threads/job.ts';
import type { CgroupTrees } from './cgroup/trees.ts';
import { readFilesystem } from './filesystem.ts';
import { readInterfaces } from './interfaces.ts';
import { type Part, readCgroup } from './reading.ts';

export interface CgroupsJob {
  readonly trees: CgroupTrees;
  readonly paths: readonly string[];
  readonly parts: readonly Part[];
}

export const jobs: Readonly<Record<string, Job>> = {
  'stats.cgroups': (arg) => {
    const { trees, paths, parts } = arg as CgroupsJob;
    return paths.map((path) => readCgroup({ trees, path }, parts));
  },
  'stats.interfaces': (arg) => (arg as readonly string[]).map(readInterfaces),
  'stats.filesystem': (arg) => readFilesystem(arg as string),
};
