/**
 * What Berth takes over from containerd's own configuration: the cni and registry sections of its CRI plugin, its runtimes, and what says
 * how containers are secured.
 * Versions 2 to 4 of the file; its `imports` are followed, and each adds to or replaces single keys, as
 * containerd 2.1 and later merge them.
 */
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { BerthError } from '../lib/errors.ts';
import { importRuntimes, said } from './containerd-runtimes.ts';
import { glob } from './glob.ts';
import type { ConfigTree } from './keys.ts';
import { isTable, readToml, type TomlTree } from './toml-file.ts';

interface SectionPaths {
  readonly cni: readonly string[];
  readonly registry: readonly string[];
  readonly containerd: readonly string[];
  /** The CRI plugin's own keys. */
  readonly cri: readonly string[];
  /** Where those of its streaming server are. */
  readonly streaming: readonly string[];
}

/** Version 4 has moved nothing but containerd's own server. */
const SPLIT: SectionPaths = {
  cni: ['plugins', 'io.containerd.cri.v1.runtime', 'cni'],
  registry: ['plugins', 'io.containerd.cri.v1.images', 'registry'],
  containerd: ['plugins', 'io.containerd.cri.v1.runtime', 'containerd'],
  cri: ['plugins', 'io.containerd.cri.v1.runtime'],
  streaming: ['plugins', 'io.containerd.grpc.v1.cri'],
};

/** Where the sections are, by the file's version. */
const SECTION_PATHS: Readonly<Record<number, SectionPaths>> = {
  2: {
    cni: ['plugins', 'io.containerd.grpc.v1.cri', 'cni'],
    registry: ['plugins', 'io.containerd.grpc.v1.cri', 'registry'],
    containerd: ['plugins', 'io.containerd.grpc.v1.cri', 'containerd'],
    cri: ['plugins', 'io.containerd.grpc.v1.cri'],
    streaming: ['plugins', 'io.containerd.grpc.v1.cri'],
  },
  3: SPLIT,
  4: SPLIT,
};
const NEWEST = 4;

/** containerd treats any other ip_pref as ipv4. */
const IP_PREFERENCES = ['ipv4', 'ipv6', 'cni'];

/** Keys that say how containers are secured or limited, and have no counterpart of ours: the values that mean the same as here, and what holds instead. */
const NOT_TAKEN: readonly (readonly [key: string, same: readonly unknown[], instead: string])[] = [
  ['disable_apparmor', [false], 'containers have AppArmor profiles where the kernel has AppArmor'],
  ['disable_proc_mount', [false], 'what is masked and read-only in /proc is as kubelet says'],
  ['ignore_image_defined_volumes', [false], 'volumes that images declare are made'],
  ['selinux_category_range', [0, 1024], 'SELinux labels have any of 1024 categories'],
  ['ignore_blockio_not_enabled_errors', [false], 'containers with a class of block I/O are refused'],
  [
    'ignore_rdt_not_enabled_errors',
    [false],
    'containers with an RDT class that the node does not have are refused',
  ],
  ['enable_tls_streaming', [false], 'exec, attach and port-forward are served without TLS'],
];

export interface ContainerdImport {
  /** Sections of our own tree, with the keys that containerd's configuration sets. */
  readonly tree: Readonly<Record<'cni' | 'containerd' | 'sandbox' | 'runtime', ConfigTree>>;
  /** Keys of its registry section that an embedded containerd is not given. */
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
  /** What concerns only those who use the runtime handler, by its name. */
  readonly handlerWarnings: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads containerd's configuration and what it imports. Throws NOT_FOUND for a missing file, INVALID_ARGUMENT
 * for a syntax error or an older version; one that is newer than we know is read as the newest.
 */
export function importContainerdConfig(path: string): ContainerdImport {
  const cni: Record<string, unknown> = {};
  const registry: Record<string, unknown> = {};
  const containerd: Record<string, unknown> = {};
  const cri: Record<string, unknown> = {};
  const runtimes: Record<string, TomlTree> = {};
  const warnings: string[] = [];
  for (const { file, version } of withImports(path, warnings)) {
    const paths = SECTION_PATHS[version];
    if (paths === undefined) continue;
    Object.assign(cni, section(file, paths.cni));
    Object.assign(registry, section(file, paths.registry));
    Object.assign(containerd, section(file, paths.containerd));
    for (const path of [paths.streaming, paths.containerd, paths.cri])
      Object.assign(cri, section(file, path));
    for (const [name, keys] of Object.entries(section(file, [...paths.containerd, 'runtimes'])))
      if (isTable(keys)) runtimes[name] = merged(runtimes[name], keys);
  }
  const handlers = importRuntimes(runtimes);
  for (const [key, same, instead] of NOT_TAKEN)
    if (cri[key] !== undefined && !same.includes(cri[key]))
      warnings.push(`${path}: ${key} is not taken over: ${instead}`);
  return {
    tree: {
      cni: said({
        confDir: cni['conf_dir'],
        binDirs: binDirs(cni),
        confTemplate: cni['conf_template'],
        maxConfNum: cni['max_conf_num'],
        ipPref: ipPreference(cni['ip_pref'], path, warnings),
      }),
      containerd: said({
        registryConfigPath: registry['config_path'],
        defaultRuntime: containerd['default_runtime_name'],
        runtimes: handlers.tree,
      }),
      sandbox: said({
        unprivilegedPorts: cri['enable_unprivileged_ports'],
        unprivilegedIcmp: cri['enable_unprivileged_icmp'],
      }),
      runtime: said({
        deviceOwnershipFromSecurityContext: cri['device_ownership_from_security_context'],
        unsetSeccompProfile: cri['unset_seccomp_profile'],
        cdiSpecDirs: cri['enable_cdi'] === false ? [] : cri['cdi_spec_dirs'],
      }),
    },
    leftOut: Object.entries(registry).flatMap(([key, value]) => leftOut(key, value)),
    warnings,
    handlerWarnings: handlers.warnings,
  };
}

/**
 * What a registry key sets that has no place beside config_path: mirrors and TLS are an error there to containerd, and passwords are
 * kubelet's to give. `containerd config default` writes such keys empty.
 */
function leftOut(key: string, value: unknown): string[] {
  if (key === 'config_path') return [];
  return (isTable(value) ? Object.keys(value) : []).map((name) => `registry.${key}."${name}"`);
}

/** The file and those that it imports, in containerd's order: breadth first, each once. */
function withImports(path: string, warnings: string[]): { file: TomlTree; version: number }[] {
  const loaded: { file: TomlTree; version: number }[] = [];
  const seen = new Set<string>();
  const pending = [path];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const file = readToml(next);
    loaded.push({ file, version: versionOf(file, next, loaded[0]?.version, warnings) });
    pending.push(...importsOf(file, next));
  }
  return loaded;
}

/** A drop-in that names no version has that of the main file. */
function versionOf(file: TomlTree, path: string, inherited: number | undefined, warnings: string[]): number {
  const version = file['version'] ?? inherited ?? 1;
  if (typeof version === 'number' && version in SECTION_PATHS) return version;
  if (typeof version === 'number' && Number.isInteger(version) && version > NEWEST) {
    warnings.push(
      `${path}: version ${version} of containerd's configuration is not known; it is read as version ${NEWEST}`,
    );
    return NEWEST;
  }
  throw new BerthError(
    'INVALID_ARGUMENT',
    `failed to read configuration "${path}": it has version ${JSON.stringify(version)}, versions 2 to ${NEWEST} of containerd's configuration are understood`,
  );
}

function importsOf(file: TomlTree, path: string): string[] {
  const imports = file['imports'] ?? [];
  if (!Array.isArray(imports) || !imports.every((item) => typeof item === 'string')) {
    throw new BerthError(
      'INVALID_ARGUMENT',
      `failed to read configuration "${path}": imports must be a list of paths`,
    );
  }
  return imports
    .map((item) => normalize(isAbsolute(item) ? item : join(dirname(path), item)))
    .flatMap((item) => (item.includes('*') ? glob(item) : [item]));
}

/** As containerd merges what it imports: tables by their keys; anything else is replaced. */
function merged(base: TomlTree = {}, over: TomlTree): TomlTree {
  const changes = Object.entries(over).map(([key, value]) => {
    const before = base[key];
    return [key, isTable(before) && isTable(value) ? merged(before, value) : value] as const;
  });
  return { ...base, ...Object.fromEntries(changes) };
}

function section(file: TomlTree, path: readonly string[]): TomlTree {
  let table: unknown = file;
  for (const key of path) table = isTable(table) ? table[key] : undefined;
  return isTable(table) ? table : {};
}

/** containerd 2.1 replaced bin_dir by a list; a list that is there wins. */
function binDirs(cni: TomlTree): unknown {
  const list = cni['bin_dirs'];
  if (Array.isArray(list) && list.length > 0) return list;
  return cni['bin_dir'] === '' || cni['bin_dir'] === undefined ? undefined : [cni['bin_dir']];
}

function ipPreference(value: unknown, path: string, warnings: string[]): unknown {
  if (typeof value !== 'string' || value === '' || IP_PREFERENCES.includes(value)) return value;
  warnings.push(`${path}: ip_pref "${value}" is not one that containerd knows; it means "ipv4"`);
  return 'ipv4';
}
