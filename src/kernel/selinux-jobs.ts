/** Giving SELinux labels on a worker thread. */
import { relabelTree } from './selinux.ts';
import type { Job } from './threads/job.ts';

export const jobs: Readonly<Record<string, Job>> = {
  'selinux.relabel': (arg) => {
    const { path, label } = arg as { readonly path: string; readonly label: string };
    relabelTree(path, label);
  },
};
