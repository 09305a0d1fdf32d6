import { selinuxJobsModule } from './selinux.ts';
import { ThreadPool } from './threads/pool.ts';

/** So many volumes, with millions of files or on a server that does not answer, hold up nobody else. */
const THREADS = 4;

/** Gives files SELinux labels, on threads of its own, which begin with the first that is asked for. */
export class Relabeller {
  readonly #pool = new ThreadPool({ name: 'labels', size: THREADS, modules: [selinuxJobsModule] });

  /** As relabelTree. */
  async relabel(path: string, label: string): Promise<void> {
    await this.#pool.call('selinux.relabel', { path, label });
  }

  /** What is being labelled then fails as UNAVAILABLE. */
  stop(): Promise<void> {
    return this.#pool.stop();
  }
}
