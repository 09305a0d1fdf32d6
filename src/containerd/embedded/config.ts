import { stringify } from 'smol-toml';
import { BerthError } from '../../lib/errors.ts';

export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** Where the embedded containerd keeps what. */
export interface EmbeddedPaths {
  /** Survives a reboot: content, snapshots, metadata. */
  readonly root: string;
  /** Does not survive one. */
  readonly state: string;
  readonly socket: string;
  readonly config: string;
  readonly log: string;
  readonly record: string;
  /** For the runtime option `root`: without it runc's state is shared by all containerds of the machine. */
  readonly runcRoot: string;
  /** Empty, and never removed: containerd's CRI exits when the directory that it watches is gone. */
  readonly cniConfDir: string;
}

export interface EmbeddedConfig {
  readonly paths: EmbeddedPaths;
  readonly version: Version;
  /** Directory of hosts.toml files; '' for none. */
  readonly registryConfigPath: string;
  /** '' for containerd's default. */
  readonly snapshotter: string;
  /** Those of runtime handlers, by handler; '' for the common one. */
  readonly handlerSnapshotters?: ReadonlyMap<string, string>;
}

/** What Berth has no use for, unless it is configured; some would make directories or sockets that are shared with another containerd. */
const DISABLED = [
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.monitor.container.v1.restart',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.tracing.processor.v1.otlp',
];

/** They work with settings of their own only, which Berth has no keys for. */
const NEED_SETTINGS = ['blockfile', 'devmapper'];

/** The version in the line that `containerd --version` prints. Throws FAILED_PRECONDITION for one that Berth cannot drive. */
export function parseVersion(line: string): Version {
  const [, major, minor] = /^containerd \S+ v?(\d+)\.(\d+)\./.exec(line) ?? [];
  if (major === undefined || minor === undefined) {
    throw new BerthError('FAILED_PRECONDITION', `"${line.trim().slice(0, 200)}" is no version of containerd`);
  }
  const version = { major: Number(major), minor: Number(minor) };
  if (version.major < 1 || (version.major === 1 && version.minor < 6)) {
    throw new BerthError('FAILED_PRECONDITION', `containerd ${major}.${minor} is too old: 1.6 is the oldest`);
  }
  return version;
}

/** The configuration file: format 3 for containerd 2, format 2 before. Throws FAILED_PRECONDITION naming the key of a snapshotter that it cannot have. */
export function embeddedConfig(config: EmbeddedConfig): string {
  const { paths, version } = config;
  return stringify({
    version: version.major >= 2 ? 3 : 2,
    root: paths.root,
    state: paths.state,
    disabled_plugins: disabledPlugins(config),
    grpc: { address: paths.socket },
    ttrpc: { address: `${paths.socket}.ttrpc` },
    debug: { level: 'info', format: 'json' },
    plugins: version.major >= 2 ? plugins3(config) : plugins2(config),
  });
}

function disabledPlugins({ snapshotter, handlerSnapshotters = new Map() }: EmbeddedConfig): string[] {
  const handlers = [...handlerSnapshotters].map(
    ([handler, name]) => [`containerd.runtimes.${handler}.snapshotter`, name] as const,
  );
  const used = new Set<string>();
  for (const [key, name] of [['containerd.snapshotter', snapshotter] as const, ...handlers]) {
    if (NEED_SETTINGS.includes(name)) {
      const problem = `the embedded containerd cannot have "${name}", which needs settings of its own: run a containerd that has them`;
      throw new BerthError('FAILED_PRECONDITION', `invalid ${key}: ${problem}`);
    }
    used.add(`io.containerd.snapshotter.v1.${name}`);
  }
  return DISABLED.filter((plugin) => !used.has(plugin));
}

/** Nobody streams through the embedded containerd; it listens all the same. */
const streaming = { stream_server_address: '127.0.0.1', stream_server_port: '0' };

function plugins2({ paths, version, registryConfigPath, snapshotter }: EmbeddedConfig): object {
  return {
    'io.containerd.grpc.v1.cri': {
      ...streaming,
      cni: { conf_dir: paths.cniConfDir },
      registry: { config_path: registryConfigPath },
      ...(snapshotter === '' ? {} : { containerd: { snapshotter } }),
    },
    ...(version.minor >= 7 ? withoutNri : {}),
  };
}

function plugins3({ paths, version, registryConfigPath, snapshotter }: EmbeddedConfig): object {
  // Since 2.1 it pulls through its transfer service, which unpacks on that service's own snapshotter only.
  const transfers = version.major > 2 || version.minor >= 1;
  const local = transfers ? { use_local_image_pull: true } : {};
  return {
    'io.containerd.grpc.v1.cri': streaming,
    'io.containerd.cri.v1.runtime': { cni: { conf_dir: paths.cniConfDir } },
    'io.containerd.cri.v1.images': {
      registry: { config_path: registryConfigPath },
      ...(snapshotter === '' ? {} : { snapshotter, ...local }),
    },
    ...withoutNri,
  };
}

/** Its socket is one for the machine. */
const withoutNri = { 'io.containerd.nri.v1.nri': { disable: true } };
