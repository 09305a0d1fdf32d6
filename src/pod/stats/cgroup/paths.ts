import { posix } from 'node:path';
import { driverOfParent, sliceDirectory } from '../../../kernel/cgroups.ts';

/**
 * Where the OCI runtime puts a container's cgroup, from the root of the hierarchy, by the `cgroupsPath` of its runtime spec:
 * a path for cgroupfs; `<slice>:<prefix>:<id>` for systemd, which makes it `<slice's directory>/<prefix>-<id>.scope`.
 */
export function containerCgroupPath(cgroupsPath: string): string {
  if (cgroupsPath.startsWith('/')) return cgroupsPath;
  const [slice, prefix, id] = cgroupsPath.split(':');
  if (slice === undefined || prefix === undefined || id === undefined) return cgroupsPath;
  return posix.join(sliceDirectory(slice === '' ? 'system.slice' : slice), `${prefix}-${id}.scope`);
}

/** Where a pod's cgroup is, by the cgroup_parent of its configuration: a path, or the name of a slice. */
export function podCgroupPath(cgroupParent: string): string {
  if (driverOfParent(cgroupParent) === 'cgroupfs') return posix.join('/', cgroupParent);
  return sliceDirectory(posix.basename(cgroupParent));
}
