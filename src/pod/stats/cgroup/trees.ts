import { join } from 'node:path';
import { listMounts, type Mount } from '../../../kernel/mounts.ts';
import { readText } from './files.ts';

/** What is measured, by the name that v1 gives its controller; `pressure` is in v2 alone. */
export const controllers = ['cpu', 'cpuacct', 'memory', 'pids', 'blkio', 'hugetlb', 'pressure'] as const;
export type Controller = (typeof controllers)[number];

/** A hierarchy of cgroups: where it is mounted, and whose file formats it has. */
export interface CgroupTree {
  readonly version: 1 | 2;
  readonly root: string;
}

/** The hierarchy of each controller. With v2 all are the same one; a hybrid has some of each. */
export type CgroupTrees = Readonly<Partial<Record<Controller, CgroupTree>>>;

const ROOT = '/sys/fs/cgroup';
/** What v2 calls what has another name in v1. */
const V2_NAMES: Readonly<Partial<Record<Controller, string>>> = { blkio: 'io' };
/** What v2 counts in every cgroup, without a controller. */
const V2_ALWAYS: readonly Controller[] = ['cpuacct', 'pressure'];

/** Finds the hierarchies by what is mounted below a directory. They do not change while a machine runs. */
export function findCgroupTrees(root = ROOT, mounts: readonly Mount[] = listMounts(root)): CgroupTrees {
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  const served = unified === undefined ? [] : v2Controllers(unified, root);
  const trees = controllers.map((controller) => {
    const v1 = mounts.find(
      ({ type, superOptions }) => type === 'cgroup' && superOptions.includes(controller),
    );
    if (v1 !== undefined) return [controller, { version: 1, root: v1.target }] as const;
    if (unified !== undefined && served.includes(controller)) {
      return [controller, { version: 2, root: unified.target }] as const;
    }
    return [controller, undefined] as const;
  });
  return Object.fromEntries(trees.filter(([, tree]) => tree !== undefined)) as CgroupTrees;
}

/** A v2 hierarchy that is the only one has everything; one beside v1 has what is switched on in it. */
function v2Controllers(unified: Mount, root: string): readonly Controller[] {
  if (unified.target === root) return controllers;
  const on = readText(join(unified.target, 'cgroup.controllers'))?.trim().split(' ') ?? [];
  return controllers.filter((name) => V2_ALWAYS.includes(name) || on.includes(V2_NAMES[name] ?? name));
}

/** One cgroup, by its path from the root of every hierarchy; '' for none. */
export interface Cgroup {
  readonly trees: CgroupTrees;
  readonly path: string;
}

/** Where a cgroup's files of a controller are; undefined when no hierarchy has it, or there is no cgroup. */
export function directoryOf(
  { trees, path }: Cgroup,
  controller: Controller,
): { readonly version: 1 | 2; readonly directory: string } | undefined {
  const tree = trees[controller];
  if (tree === undefined || path === '') return undefined;
  return { version: tree.version, directory: join(tree.root, path) };
}
