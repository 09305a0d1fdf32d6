import type { NamespaceInodes, PodNamespacesRemains, PodNamespacesSpec } from './pod-namespaces.ts';
import { isNamespace } from './thread-namespaces.ts';
import type { ThreadPool } from './threads/pool.ts';

/** The jobs module that the pool of Namespaces must load. */
export const namespaceJobsModule = new URL('./namespace-jobs.js', import.meta.url);

/** Pods' namespaces for the main thread: each call is one job on a worker thread, so one round trip. */
export class Namespaces {
  private readonly pool: ThreadPool;

  /** The pool must load namespaceJobsModule. */
  constructor(pool: ThreadPool) {
    this.pool = pool;
  }

  /** See createPodNamespaces. */
  async create(spec: PodNamespacesSpec): Promise<NamespaceInodes> {
    return (await this.pool.call('namespaces.create', spec)) as NamespaceInodes;
  }

  /** Unpins one namespace; absent is success. */
  async remove(pin: string): Promise<void> {
    await this.removeAll({ pins: [pin] });
  }

  /** Unpins a pod's namespaces and unmounts its shm in one go; absent is success. */
  async removeAll(remains: PodNamespacesRemains): Promise<void> {
    await this.pool.call('namespaces.remove', remains);
  }

  /** True when a namespace is pinned at this path. Answered on the calling thread, as it waits for nothing. */
  isNamespace(path: string): boolean {
    return isNamespace(path);
  }
}
