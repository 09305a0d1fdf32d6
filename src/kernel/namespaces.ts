import {
  closeSpare,
  type NamespaceInodes,
  type PodNamespacesRemains,
  type PodNamespacesSpec,
  type SpareNamespaces,
} from './pod-namespaces.ts';
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

/** After a pod its status is asked for, and perhaps for the next pod: what is made for later stays out of their way. */
const REFILL_AFTER_MS = 50;

/** A few namespaces made in quiet moments, since making them is a third of what a sandbox asks of the kernel. */
export class SpareStock {
  readonly #pool: ThreadPool;
  readonly #sysctls: Readonly<Record<string, string>>;
  readonly #size: number;
  readonly #spares: SpareNamespaces[] = [];
  #refilling = false;
  #timer: NodeJS.Timeout | undefined;

  /** The pool must load namespaceJobsModule. @param sysctls what most pods want written. @param size how many are kept. */
  constructor(pool: ThreadPool, sysctls: Readonly<Record<string, string>>, size: number) {
    this.#pool = pool;
    this.#sysctls = sysctls;
    this.#size = size;
  }

  /** One for createPodNamespaces, which the taker has to close; undefined when there is none. A refill that was to come waits for refillSoon. */
  take(): SpareNamespaces | undefined {
    clearTimeout(this.#timer);
    return this.#spares.pop();
  }

  /** Refills in a while, counted from the last call. */
  refillSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refill(), REFILL_AFTER_MS).unref();
  }

  /** Makes what is missing, one after the other. That it fails is for the pod to say that finds none. */
  async refill(): Promise<void> {
    if (this.#refilling) return;
    this.#refilling = true;
    try {
      while (this.#spares.length < this.#size) {
        this.#spares.push((await this.#pool.call('namespaces.spare', this.#sysctls)) as SpareNamespaces);
      }
    } catch {
      // A pod then asks the kernel itself, and reports what that answers.
    } finally {
      this.#refilling = false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const spare of this.#spares.splice(0)) closeSpare(spare);
  }
}
