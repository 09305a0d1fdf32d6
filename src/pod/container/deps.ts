import type { HostFacts } from '../../oci/host-facts.ts';
import type { RuntimeFeatures } from '../../oci/runtime-features.ts';
import type { SeccompTemplate } from '../../oci/seccomp-template.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import type { Pumps } from '../../stdio/pumps.ts';
import type { Creations } from '../creations.ts';
import type { Engine } from '../engine/engine.ts';
import type { Executions } from './executions.ts';
import type { ContainerPlan } from './plan.ts';
import type { ContainerFiles } from './record.ts';
import type { ContainerStore } from './store.ts';

/** What the operations on containers work with, beside what those on sandboxes do. */
export interface ContainerDeps {
  readonly store: ContainerStore;
  readonly files: ContainerFiles;
  readonly creations: Creations<ContainerPlan>;
  readonly engine: Engine;
  readonly pumps: Pumps;
  readonly executions: Executions;
  readonly host: HostFacts;
  /** By runtime handler; '' for the default. */
  readonly features: (runtimeHandler: string) => RuntimeFeatures;
  /** What a container's runtime spec begins with, by runtime handler; '' for the default. */
  readonly baseSpec: (runtimeHandler: string) => RuntimeSpec;
  readonly seccomp: SeccompTemplate;
  /** Gives a path, and all below it, an SELinux label; undefined on a node without SELinux. */
  readonly relabel: ((path: string, label: string) => Promise<void>) | undefined;
}
