import { driverOfParent } from '../../kernel/cgroups.ts';
import { cgroupsPathOf } from '../../oci/root.ts';
import { readOomKills } from '../stats/cgroup/memory.ts';
import { containerCgroupPath, podCgroupPath } from '../stats/cgroup/paths.ts';
import { type CgroupTrees, findCgroupTrees } from '../stats/cgroup/trees.ts';

const SIGKILLED = 137;

/** A container that has ended and whose task is not deleted yet. */
export interface EndedContainer {
  readonly id: string;
  /** cgroup_parent of its sandbox. */
  readonly parent: string;
  readonly exitCode: number | undefined;
  /** Ids of the others of its sandbox that are not known to have ended. */
  readonly others: readonly string[];
  /** Whether none of its sandbox can have ended before. */
  readonly isFirst: boolean;
}

/**
 * In which containers the kernel killed for want of memory, by its own counts. A container's own is there until its task is deleted,
 * but systemd removes a scope as soon as it is empty. Then what the pod's slice has counted tells, which counts what is below it and
 * what was: more than its other containers and those that ended before account for. Only v2 counts so.
 */
export class OomKills {
  #trees: CgroupTrees | undefined;
  /** By sandbox: kills in containers that are gone. */
  readonly #past = new WeakMap<object, bigint>();

  /** @param trees the machine's own when absent. */
  constructor(trees?: CgroupTrees) {
    this.#trees = trees;
  }

  /** Whether there was one in a container. To be asked once for each end of one, in their order. */
  wasIn(ended: EndedContainer, sandbox: object): boolean {
    this.#trees ??= findCgroupTrees();
    const own = this.#ofContainer(ended.parent, ended.id);
    if (driverOfParent(ended.parent) !== 'systemd' || this.#trees.memory?.version !== 2)
      return (own ?? 0n) > 0n;
    const others = ended.others.map((id) => this.#ofContainer(ended.parent, id));
    const ofGone = others.reduce<bigint>(
      (rest, count) => rest - (count ?? 0n),
      this.#read(podCgroupPath(ended.parent)) ?? 0n,
    );
    const past = this.#past.get(sandbox) ?? (ended.isFirst ? 0n : ofGone);
    const killed = own === undefined ? ended.exitCode === SIGKILLED && ofGone > past : own > 0n;
    // Some may be of another one that has ended, too, and is not asked about yet.
    const areItsOwn = !others.includes(undefined);
    const itsShare = killed ? (own ?? 1n) : 0n;
    this.#past.set(sandbox, areItsOwn ? ofGone : past + itsShare);
    return killed;
  }

  #ofContainer(parent: string, id: string): bigint | undefined {
    return this.#read(containerCgroupPath(cgroupsPathOf(parent, id)));
  }

  #read(path: string): bigint | undefined {
    return readOomKills({ trees: this.#trees ?? {}, path });
  }
}
