import { BerthError, codeOf } from '../lib/errors.ts';
import { type ContainerdImport, importContainerdConfig } from './containerd-config.ts';
import { dottedPath, fromToml, type ConfigTree } from './keys.ts';
import { isRunc } from './runtime-handlers.ts';
import { configSchema, type Config } from './schema.ts';
import { isTable, readToml, type TomlTree } from './toml-file.ts';

/** Where `berth serve` looks when it is given no --config. */
export const DEFAULT_CONFIG_PATH = '/etc/berth/config.toml';

export interface LoadOptions {
  /** The configuration file; the default path when absent. */
  readonly path?: string;
  /** True when a person named the file: then it must exist. */
  readonly explicit: boolean;
  /** containerd's own configuration, which fills in where ours is silent. */
  readonly containerdConfigPath?: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** What the operator should know but nothing fails for; one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Loads, checks and freezes the configuration. Throws NOT_FOUND when a file that must exist does not, and
 * INVALID_ARGUMENT naming every unknown key and every bad value as `section.key`.
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const path = options.path ?? DEFAULT_CONFIG_PATH;
  const problems: string[] = [];
  const own = fromToml(readOwn(path, options.explicit), problems);
  const { containerdConfigPath } = options;
  if (containerdConfigPath === undefined) {
    const config = check(own, problems, path);
    return { config, warnings: warningsFor(config, own) };
  }
  const imported = importContainerdConfig(containerdConfigPath);
  const config = check(underlay(own, imported.tree), problems, path, (at) =>
    !has(own, at) && has(imported.tree, at) ? `taken from ${containerdConfigPath}` : undefined,
  );
  const ofHandlers = [...imported.handlerWarnings]
    .filter(([name]) => !has(own, ['containerd', 'runtimes', name]))
    .flatMap(([, texts]) => texts.map((text) => `${containerdConfigPath}: ${text}`));
  return {
    config,
    warnings: [
      ...imported.warnings,
      ...ofHandlers,
      ...leftOutWarnings(config, imported, containerdConfigPath),
      ...warningsFor(config, own),
    ],
  };
}

/** The built-in defaults: the configuration of an empty file. */
export function defaultConfig(): Config {
  return check({}, [], 'built-in defaults');
}

function readOwn(path: string, explicit: boolean): TomlTree {
  try {
    return readToml(path);
  } catch (error) {
    if (!explicit && codeOf(error) === 'NOT_FOUND') return {};
    throw error;
  }
}

function check(
  tree: ConfigTree,
  problems: string[],
  path: string,
  sourceOf: (path: readonly string[]) => string | undefined = () => undefined,
): Config {
  const parsed = configSchema.safeParse(tree);
  const issues = parsed.success
    ? contradictions(parsed.data)
    : parsed.error.issues.map(({ path: at, message }) => ({ path: at.map(String), message }));
  for (const { path: at, message } of issues) {
    const source = sourceOf(at);
    problems.push(`invalid ${dottedPath(at)}: ${message}${source === undefined ? '' : ` (${source})`}`);
  }
  if (!parsed.success || problems.length > 0) {
    throw new BerthError(
      'INVALID_ARGUMENT',
      `failed to load configuration "${path}": ${problems.join('; ')}`,
    );
  }
  return freeze(parsed.data);
}

interface Issue {
  readonly path: readonly string[];
  readonly message: string;
}

/** What is wrong with keys that are right one by one. */
function contradictions({ containerd, storage }: Config): Issue[] {
  const found: Issue[] = [];
  if (!containerd.runtimes.has(containerd.defaultRuntime)) {
    found.push({
      path: ['containerd', 'defaultRuntime'],
      message: `there is no [containerd.runtimes.${containerd.defaultRuntime}], only ${[...containerd.runtimes.keys()].join(', ')}`,
    });
  }
  for (const [name, handler] of containerd.runtimes) {
    const path = ['containerd', 'runtimes', name];
    const { configPath, type } = handler;
    if (configPath !== '' && isRunc(type))
      found.push({
        path: [...path, 'configPath'],
        message: 'the shim of runc has no configuration file',
      });
    if (handler.privilegedWithoutHostDevicesAllDevicesAllowed && !handler.privilegedWithoutHostDevices)
      found.push({
        path: [...path, 'privilegedWithoutHostDevicesAllDevicesAllowed'],
        message: 'needs privileged_without_host_devices',
      });
  }
  if (storage.root === storage.state)
    found.push({ path: ['storage', 'state'], message: 'must be another directory than storage.root' });
  return found;
}

function isExternal({ containerd: { address } }: Config): boolean {
  return address !== '' && address !== 'embedded';
}

/** An external containerd has all of its configuration anyway. */
function leftOutWarnings(config: Config, { leftOut }: ContainerdImport, path: string): string[] {
  if (isExternal(config) || leftOut.length === 0) return [];
  const instead =
    'hosts.toml files below registry.config_path take their place, pull secrets that of credentials';
  return [`${path}: an embedded containerd is not given ${leftOut.join(', ')}: ${instead}`];
}

function warningsFor(config: Config, own: ConfigTree): string[] {
  const { containerd } = config;
  if (!isExternal(config) || !has(own, ['containerd', 'registryConfigPath'])) return [];
  return [
    `containerd.registry_config_path shapes the embedded containerd only; for ${containerd.address} set config_path in its own configuration`,
  ];
}

/** Our tree, with another's keys where ours has none. */
function underlay(own: ConfigTree, below: Readonly<Record<string, ConfigTree>>): ConfigTree {
  const merged = { ...own };
  for (const [name, keys] of Object.entries(below)) {
    const section = own[name];
    merged[name] = isTable(section) ? { ...keys, ...section, ...runtimesOfBoth(section, keys) } : keys;
  }
  return merged;
}

/** A runtime handler is taken as a whole, from the file that names it; ours comes first. */
function runtimesOfBoth(own: ConfigTree, below: ConfigTree): ConfigTree {
  const [ours, theirs] = [own['runtimes'], below['runtimes']];
  if (!isTable(ours) || !isTable(theirs)) return {};
  // An empty runc is there in any case, and says nothing.
  const said = Object.entries(ours).filter(
    ([, handler]) => isTable(handler) && Object.keys(handler).length > 0,
  );
  return { runtimes: { ...theirs, ...Object.fromEntries(said) } };
}

/** Whether a tree says a key. A runtime handler is said as a whole; an empty one says nothing. */
function has(tree: ConfigTree, path: readonly string[]): boolean {
  const isOfHandler = path[1] === 'runtimes' && path.length > 2;
  let value: unknown = tree;
  for (const key of path.slice(0, isOfHandler ? 3 : 2)) value = isTable(value) ? value[key] : undefined;
  return isOfHandler && isTable(value) ? Object.keys(value).length > 0 : value !== undefined;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
