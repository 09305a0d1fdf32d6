import type { Config } from '../config/schema.ts';
import type { Namespaces, SpareStock } from '../kernel/namespaces.ts';
import type { ThreadPool } from '../kernel/threads/pool.ts';
import type { KeyedLock } from '../lib/keyed-lock.ts';
import type { Logger } from '../lib/log.ts';
import type { PodNetwork } from '../network/pod-network.ts';
import type { ContainerDeps } from './container/deps.ts';
import type { PodEvents } from './events.ts';
import type { Creations } from './creations.ts';
import type { SandboxPlan } from './sandbox/plan.ts';
import type { SandboxFiles } from './sandbox/record.ts';
import type { SandboxStore } from './sandbox/store.ts';

/** What the operations on pods work with. The composition root builds it once. */
export interface PodDeps {
  readonly settings: Pick<Config, 'storage' | 'cni' | 'containerd' | 'sandbox' | 'runtime'>;
  readonly store: SandboxStore;
  readonly files: SandboxFiles;
  readonly creations: Creations<SandboxPlan>;
  /** One operation at a time on a sandbox, by id. */
  readonly locks: KeyedLock;
  /** For jobs that touch the kernel or the disk; must load the jobs of sandboxes and of namespaces. */
  readonly threads: ThreadPool;
  readonly namespaces: Namespaces;
  readonly spares: SpareStock;
  readonly network: PodNetwork;
  readonly events: PodEvents;
  readonly containers: ContainerDeps;
  /** First eight digits of the instance's uuid: names under netns_dir begin `berth-<instance>-`. */
  readonly instance: string;
  readonly bootId: string;
  readonly log: Logger;
}
