/** The runtimes of containerd's own configuration as our runtime handlers, and what of them cannot be taken over. */
import type { ConfigTree } from './keys.ts';
import { isRunc } from './runtime-handlers.ts';
import { isTable, type TomlTree } from './toml-file.ts';

/** Keys of a runtime that are taken over below, or that say nothing to us. */
const TAKEN = [
  'runtime_type',
  'runtime_path',
  'options',
  'pod_annotations',
  'container_annotations',
  'privileged_without_host_devices',
  'privileged_without_host_devices_all_devices_allowed',
  'cgroup_writable',
  'base_runtime_spec',
  'cni_conf_dir',
  'cni_max_conf_num',
  'snapshotter',
];
/** Those of its options. The cgroup parent tells whether cgroups are systemd's, and the type what its options are called. */
const TAKEN_OPTIONS = ['BinaryName', 'ConfigPath', 'SystemdCgroup', 'TypeUrl'];

/** Values that are containerd's defaults, of whatever key. */
const DEFAULTS: readonly unknown[] = [undefined, '', false, 0, 'podsandbox', 'fifo'];

export interface ImportedRuntimes {
  /** Handlers under our names of their keys, `runc` among them; undefined when there are none. */
  readonly tree: ConfigTree | undefined;
  /** What is not taken over, by handler; one sentence each. */
  readonly warnings: ReadonlyMap<string, readonly string[]>;
}

/** Takes over runtimes, as merged from all files. */
export function importRuntimes(runtimes: Readonly<Record<string, TomlTree>>): ImportedRuntimes {
  const entries = Object.entries(runtimes);
  const handlers = entries.map(([name, keys]): [string, ConfigTree] => [name, handlerOf(keys)]);
  return {
    tree: handlers.length === 0 ? undefined : Object.fromEntries([['runc', {}], ...handlers]),
    warnings: new Map(entries.map(([name, keys]) => [name, leftOut(name, keys)])),
  };
}

function handlerOf(keys: TomlTree): ConfigTree {
  const options = optionsOf(keys);
  return said({
    type: keys['runtime_type'],
    path: keys['runtime_path'],
    binary: options['BinaryName'],
    // containerd starts a sandbox container for each; runc and its like need none.
    sandbox: isRuncs(keys) ? undefined : 'pause',
    cniConfDir: keys['cni_conf_dir'],
    cniMaxConfNum: keys['cni_max_conf_num'],
    snapshotter: keys['snapshotter'],
    // The shim of runc has none, and does not mind one that is left from another type.
    configPath: isRuncs(keys) ? undefined : options['ConfigPath'],
    podAnnotations: keys['pod_annotations'],
    containerAnnotations: keys['container_annotations'],
    privilegedWithoutHostDevices: keys['privileged_without_host_devices'],
    privilegedWithoutHostDevicesAllDevicesAllowed:
      keys['privileged_without_host_devices_all_devices_allowed'],
    cgroupWritable: keys['cgroup_writable'],
    baseRuntimeSpec: keys['base_runtime_spec'],
  });
}

function leftOut(name: string, keys: TomlTree): string[] {
  const options = optionsOf(keys);
  const others = [...otherThan(TAKEN, keys), ...otherThan(TAKEN_OPTIONS, options)];
  if (isRuncs(keys)) others.push(...otherThan([], { ConfigPath: options['ConfigPath'] }));
  return others.map(
    ([key, value]) => `${key} = ${JSON.stringify(value)} of the runtime ${name} is not taken over`,
  );
}

function otherThan(taken: readonly string[], keys: TomlTree): [string, unknown][] {
  return Object.entries(keys).filter(
    ([key, value]) => !taken.includes(key) && !DEFAULTS.includes(value) && !isEmptyList(value),
  );
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function optionsOf(keys: TomlTree): TomlTree {
  return isTable(keys['options']) ? keys['options'] : {};
}

/** Without a type it is our default one, which is runc's. */
function isRuncs(keys: TomlTree): boolean {
  const type = keys['runtime_type'];
  return typeof type !== 'string' || type === '' || isRunc(type);
}

/** Without the keys that say nothing: absent, or the empty string. */
export function said(keys: ConfigTree): ConfigTree {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined && value !== ''));
}
