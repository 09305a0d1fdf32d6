import { containerCgroup } from '../kernel/cgroups.ts';
import { invalid } from '../lib/errors.ts';
import { without } from '../lib/without.ts';
import { absolutePath } from './fields.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart } from './input.ts';
import type { RuntimeSpec, SpecMount } from './types.ts';

/** Cgroup of containers whose sandbox names no parent: containerd's. */
const DEFAULT_PARENT = '/k8s.io';

/** The cgroupsPath of a container, by its sandbox's cgroup parent: of a slice for the systemd driver, a path for cgroupfs. */
export function cgroupsPathOf(parent: string, id: string): string {
  return containerCgroup(parent === '' ? DEFAULT_PARENT : parent, id);
}

export function withCgroup(spec: RuntimeSpec, { id, sandbox }: SpecInput): RuntimeSpec {
  return withLinuxPart(spec, { cgroupsPath: cgroupsPathOf(sandbox.config.linux?.cgroupParent ?? '', id) });
}

/**
 * What the container may see and change of the root file system, /proc and /sys. Masked and read-only paths come from kubelet
 * alone. A privileged container has none of them and writes to /sys and its cgroups; its sandbox must be privileged, too. Another one
 * writes to its cgroups if its handler says so, on cgroup v2, where it sees only its own.
 */
export function withRoot(spec: RuntimeSpec, { config, sandbox, handler, host }: SpecInput): RuntimeSpec {
  const security = securityOf(config);
  const root = security.readonlyRootfs ? { ...spec.root, readonly: true } : spec.root;
  if (!security.privileged) {
    const writes = handler.cgroupWritable && host.cgroups === 'v2';
    const mounts = writes ? spec.mounts.map((mount) => writable(mount, ['cgroup'])) : spec.mounts;
    return withLinuxPart(
      { ...spec, root, mounts },
      {
        ...paths('maskedPaths', 'masked_paths', security.maskedPaths),
        ...paths('readonlyPaths', 'readonly_paths', security.readonlyPaths),
      },
    );
  }
  if (sandbox.config.linux?.securityContext?.privileged !== true)
    throw invalid(`${SECURITY}.privileged`, 'no privileged container allowed in sandbox');
  const linux = without(spec.linux, 'maskedPaths', 'readonlyPaths');
  const mounts = spec.mounts.map((mount) => writable(mount, ['sysfs', 'cgroup']));
  return { ...spec, root, mounts, linux };
}

function paths(
  key: 'maskedPaths' | 'readonlyPaths',
  field: string,
  asked: readonly string[],
): Partial<RuntimeSpec['linux']> {
  if (asked.length === 0) return {};
  return { [key]: asked.map((path, i) => absolutePath(`${SECURITY}.${field}[${i}]`, path)) };
}

function writable(mount: SpecMount, types: readonly string[]): SpecMount {
  if (!types.includes(mount.type)) return mount;
  return { ...mount, options: mount.options.map((option) => (option === 'ro' ? 'rw' : option)) };
}

/**
 * In a user namespace a new sysfs can be mounted only together with a network namespace that belongs to it. With the node's
 * network the container gets the node's /sys, read-only.
 */
export function withSysfsOfNode(spec: RuntimeSpec, { sandbox, runtime }: SpecInput): RuntimeSpec {
  return { ...spec, mounts: sysfsOfNode(spec.mounts, sandbox.namespaces, runtime) };
}

/** The mounts, with the node's /sys where the pod's namespaces allow no new one. */
export function sysfsOfNode(
  mounts: readonly SpecMount[],
  namespaces: { readonly network?: string; readonly user?: string },
  runtime: { readonly recursiveReadOnly: boolean },
): readonly SpecMount[] {
  if (namespaces.user === undefined || namespaces.network !== undefined) return mounts;
  const access = runtime.recursiveReadOnly ? 'rro' : 'ro';
  const bind: SpecMount = {
    destination: '/sys',
    type: 'bind',
    source: '/sys',
    options: ['rbind', 'rslave', 'nosuid', 'noexec', 'nodev', access],
  };
  return mounts.map((mount) => (mount.type === 'sysfs' ? bind : mount));
}
