import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { invalid } from '../lib/errors.ts';
import { listMounts, type Mount } from './mounts.ts';

/**
 * Which cgroup hierarchy the machine has: `v1` (a tree per controller), `v2` (one tree), or `hybrid`: v1 controllers with a
 * v2 tree beside them.
 */
export type CgroupMode = 'v1' | 'v2' | 'hybrid';

/** Who makes cgroups: systemd, asked by the OCI runtime, or the OCI runtime itself in the file system. */
export type CgroupDriver = 'systemd' | 'cgroupfs';

const ROOT = '/sys/fs/cgroup';

/** The mode by what is mounted; undefined when no cgroup file system is. */
export function cgroupMode(mounts: readonly Mount[] = listMounts(ROOT)): CgroupMode | undefined {
  if (mounts.some(({ type, target }) => type === 'cgroup2' && target === ROOT)) {
    return 'v2';
  }
  if (mounts.some(({ type }) => type === 'cgroup')) {
    return mounts.some(({ type }) => type === 'cgroup2') ? 'hybrid' : 'v1';
  }
  return undefined;
}

/**
 * Whether cgroups of the v2 tree can limit swap. Its root has no file for that: any cgroup with the memory controller tells. On a node
 * without systemd there may be none yet; then the kernel limits it if it knows swap and was not told `swapaccount=0`.
 */
export function unifiedLimitsSwap({ tree = ROOT, proc = '/proc' } = {}): boolean {
  const own = /^0::(.*)$/m.exec(readFileSync(`${proc}/self/cgroup`, 'utf8'))?.[1] ?? '/';
  const cgroups = [own, ...readdirSync(tree)].map((path) => posix.join(tree, path));
  const limited = cgroups.find((cgroup) => existsSync(`${cgroup}/memory.max`));
  if (limited !== undefined) return existsSync(`${limited}/memory.swap.max`);
  return existsSync(`${proc}/swaps`) && !/\bswapaccount=0\b/.test(readFileSync(`${proc}/cmdline`, 'utf8'));
}

/** systemd where it is the machine's init, as sd_booted(3) tells; cgroupfs elsewhere. */
export function cgroupDriver(): CgroupDriver {
  return existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs';
}

/** The driver that a cgroup parent of kubelet asks for: it names a slice for systemd and a path for cgroupfs. */
export function driverOfParent(parent: string): CgroupDriver {
  return posix.basename(parent).endsWith('.slice') ? 'systemd' : 'cgroupfs';
}

/**
 * A container's cgroupsPath for the OCI runtime: `<slice>:<prefix>:<id>` below a slice, the joined path elsewhere. '' as parent
 * means the root. Throws INVALID_ARGUMENT for a parent that is no slice name or that has `..` in it.
 */
export function containerCgroup(parent: string, id: string, prefix = 'berth'): string {
  if (parent.split('/').includes('..') || parent.includes('\0')) {
    throw invalid('config.linux.cgroup_parent', `${JSON.stringify(parent)} leads outside of the hierarchy`);
  }
  if (driverOfParent(parent) === 'cgroupfs') {
    return posix.join('/', parent, id);
  }
  const slice = posix.basename(parent);
  sliceDirectory(slice);
  return `${slice}:${prefix}:${id}`;
}

/**
 * Where systemd keeps a slice: each dash is a level, `a-b.slice` lies in `a.slice`. `-.slice` is the root. Throws
 * INVALID_ARGUMENT for a name that systemd would not take. Source: systemd.slice(5).
 */
export function sliceDirectory(slice: string): string {
  const name = slice.replace(/\.slice$/, '');
  if (slice === '-.slice') {
    return '/';
  }
  const parts = name.split('-');
  if (name === slice || !/^[\w:.\\-]+$/.test(name) || parts.includes('')) {
    throw invalid('config.linux.cgroup_parent', `${JSON.stringify(slice)} is not the name of a slice`);
  }
  return `/${parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/')}`;
}
