/** The job that makes a socket in a pod's network namespace. */
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket } from './libc.ts';
import { withNetns } from './thread-namespaces.ts';
import type { Job } from './threads/job.ts';

export interface LoopbackSocketJob {
  readonly netns: string;
  readonly family: 4 | 6;
}

export const jobs: Readonly<Record<string, Job>> = {
  /** A socket belongs to the namespace that it was made in, wherever it is used: its descriptor is the whole process's. */
  'loopback.socket': (arg) => {
    const { netns, family } = arg as LoopbackSocketJob;
    const domain = family === 4 ? AF_INET : AF_INET6;
    return withNetns(netns, () => socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  },
};
