/**
 * Every key of Berth's configuration: its type, its default and what it means. The file is TOML with the keys in
 * snake_case (`[cni] conf_dir`); inside Berth the same key is camelCase (`config.cni.confDir`).
 */
import { z } from 'zod';
import * as rule from './rules.ts';

/** `[grpc]`: where the CRI is served. */
const grpc = z.object({
  /** Path of the unix socket for kubelet and crictl; `unix://` is accepted in the file, the value is plain. */
  address: rule.socketPath.default('/run/berth/berth.sock'),
});

/** `[storage]`: Berth's own directories. Each daemon on a machine needs its own. */
const storage = z.object({
  /** Records that survive a reboot: sandboxes, debts, DHCP leases, the instance's uuid. */
  root: rule.absolutePath.default('/var/lib/berth'),
  /** What does not survive one: per-sandbox files such as resolv.conf and /dev/shm, the embedded engine's sockets. */
  state: rule.absolutePath.default('/run/berth'),
});

/** `[cni]`: pod networks. */
const cni = z.object({
  /** Directory of the network configurations (.conflist, .conf, .json), first by name wins. */
  confDir: rule.absolutePath.default('/etc/cni/net.d'),
  /** Directories of plugin executables, searched in order (CNI_PATH). */
  binDirs: z
    .array(rule.pluginDirectory, 'must be a list of directories')
    .default(['/opt/cni/bin', '/usr/lib/cni']),
  /** Where results are cached, in libcni's format (`<dir>/results`). */
  cacheDir: rule.absolutePath.default('/var/lib/cni'),
  /** Where the pods' network namespaces are pinned. */
  netnsDir: rule.absolutePath.default('/run/netns'),
  /** `auto`: a built-in plugin serves a configuration that it understands; `never`: always the executable. */
  builtin: rule.oneOf(['auto', 'never']).default('auto'),
  /** How many of the files in confDir are used; 0 for all. More than one gives pods eth1 and so on. */
  maxConfNum: rule.integer(0, 1000).default(1),
  /** Go template from which a conflist is made once kubelet tells the node's pod CIDR; '' for none. */
  confTemplate: rule.optionalPath.default(''),
  /**
   * Which address is the pod's primary one: `ipv4` or `ipv6` first, `cni` as the plugins returned them, `auto` the
   * family of the node's own address.
   */
  ipPref: rule.oneOf(['ipv4', 'ipv6', 'cni', 'auto']).default('ipv4'),
  /** Seconds that the whole chain has for ADD; cut to 80 % of the caller's remaining deadline. */
  addTimeoutSeconds: rule.timeoutSeconds.default(220),
  /** Seconds that the whole chain has for DEL; cut to 80 % of the caller's remaining deadline. */
  delTimeoutSeconds: rule.timeoutSeconds.default(30),
});

/** `[containerd.runtimes.<handler>]`: one runtime handler that a RuntimeClass can name. */
const runtimeHandler = z.object({
  /** containerd's runtime type, which names the shim. */
  type: rule.text
    .regex(/^[a-z0-9]+(\.[a-z0-9-]+)+$/i, 'must be a runtime type such as "io.containerd.runc.v2"')
    .default('io.containerd.runc.v2'),
  /** The shim's executable, instead of the one that the type names; '' for that one. */
  path: rule.optionalPath.default(''),
  /** The OCI runtime's executable, by path or by name; '' for the shim's own choice. */
  binary: rule.executable.default(''),
  /** `namespaces`: a sandbox is its namespaces; `pause`: the runtime needs a sandbox container (Kata, gVisor). */
  sandbox: rule.oneOf(['namespaces', 'pause']).default('namespaces'),
  /** Network configurations for pods of this handler; '' for the common ones. */
  cniConfDir: rule.optionalPath.default(''),
  /** How many files of this handler's own cniConfDir are used; 0 for as many as of the common one. */
  cniMaxConfNum: rule.integer(0, 1000).default(0),
  /** What keeps the root file systems of its pods; '' for the common one. */
  snapshotter: rule.snapshotter.default(''),
  /** A configuration file for the shim, of gVisor or Kata for instance; '' for the shim's own choice. */
  configPath: rule.optionalPath.default(''),
  /** Patterns of annotations of pods that the OCI runtime is told, of the sandbox and of each container. */
  podAnnotations: rule.patterns.default([]),
  /** Patterns of annotations of containers that the OCI runtime is told. */
  containerAnnotations: rule.patterns.default([]),
  /** Privileged containers have the devices that they ask for, not all of the node's. */
  privilegedWithoutHostDevices: rule.flag.default(false),
  /** With privilegedWithoutHostDevices: they may use every device that they make themselves. */
  privilegedWithoutHostDevicesAllDevicesAllowed: rule.flag.default(false),
  /** Containers that are not privileged may make cgroups below their own, on cgroup v2. */
  cgroupWritable: rule.flag.default(false),
  /** A runtime spec that each container starts from, as `ctr oci spec` prints one; '' for the built-in one. */
  baseRuntimeSpec: rule.optionalPath.default(''),
});

/** `[containerd]`: the engine. */
const containerd = z.object({
  /** `''`: the default socket if one is there, else an embedded containerd; `embedded`; or a socket's path. */
  address: rule.orWord(['', 'embedded'], rule.socketPath).default(''),
  /** The snapshotter; '' for the one that containerd's CRI reports. */
  snapshotter: rule.snapshotter.default(''),
  /** Directory of per-registry host files (hosts.toml) for the embedded containerd. */
  registryConfigPath: rule.optionalPath.default('/etc/containerd/certs.d'),
  /** The handler for pods that name none. */
  defaultRuntime: rule.handlerName.default('runc'),
  /** Handlers by name. `runc` is always among them. */
  runtimes: z
    .record(z.string(), runtimeHandler, 'must be a table of runtime handlers')
    .transform((byName): ReadonlyMap<string, RuntimeHandler> => new Map(Object.entries(byName)))
    .prefault({ runc: {} }),
});

/** `[sandbox]`: what every pod is given. */
const sandbox = z.object({
  /** Image of the pause container where one is needed; '' for catatonit from the host. */
  image: rule.text.default(''),
  /** Lets processes without privileges bind ports below 1024 (net.ipv4.ip_unprivileged_port_start=0). */
  unprivilegedPorts: rule.flag.default(true),
  /** Lets processes without privileges ping (net.ipv4.ping_group_range). */
  unprivilegedIcmp: rule.flag.default(true),
});

/** `[runtime]`: how containers run. */
const runtime = z.object({
  /** Who manages cgroups; kubelet's must be the same. `auto`: as the cgroup parents that kubelet sends look. */
  cgroupDriver: rule.oneOf(['auto', 'cgroupfs', 'systemd']).default('auto'),
  /** Never ask for an oom_score_adj lower than Berth's own; `auto`: when lowering turns out to be forbidden. */
  restrictOomScoreAdj: z
    .union([z.boolean(), z.literal('auto')], 'must be "auto", true or false')
    .default('auto'),
  /** Bytes after which a log line is split into partial ones; -1 for no limit. */
  maxContainerLogLineSize: rule
    .integer(-1, 1 << 30)
    .refine((size) => size !== 0, 'must be -1 (no limit) or at least 1')
    .default(16_384),
  /** Devices that a container asks for belong to its runAsUser and runAsGroup, each unless it is root or absent; else to whom they belong on the node. */
  deviceOwnershipFromSecurityContext: rule.flag.default(false),
  /** The seccomp profile of containers that ask for none; '' for unconfined. */
  unsetSeccompProfile: rule.seccompProfile.default(''),
  /** Directories of CDI specs, the later one wins; an empty list for no CDI devices. */
  cdiSpecDirs: z
    .array(rule.absolutePath, 'must be a list of directories')
    .default(['/etc/cdi', '/var/run/cdi']),
  /** Restore containers whose image is a checkpoint: with the users and capabilities that their processes had, whatever the pod says. */
  restoreCheckpoints: rule.flag.default(false),
});

/** `[streaming]`: the server for exec, attach and port-forward. */
const streaming = z.object({
  /** IP address that it listens on. */
  address: rule.ipAddress.default('127.0.0.1'),
  /** Its port; 0 for any free one. */
  port: rule.port.default(0),
});

/** `[metrics]`: Prometheus metrics over HTTP. */
const metrics = z.object({
  /** `ADDRESS:PORT` to serve /metrics on; '' for off. */
  address: rule.listenAddress.default(''),
});

/** `[log]`: what the daemon writes to stderr. */
const log = z.object({
  /** The least severe level that is written. */
  level: rule.oneOf(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** `json`: one object per line; `text`: for people. */
  format: rule.oneOf(['json', 'text']).default('json'),
});

/** The sections by name. */
export const sections = {
  grpc,
  storage,
  cni,
  containerd,
  sandbox,
  runtime,
  streaming,
  metrics,
  log,
} as const;

/** The keys of one `[containerd.runtimes.<handler>]`. */
export const runtimeHandlerSchema = runtimeHandler;

/** Takes a tree with camelCase keys; fills in what is silent. Keys that it does not know are the loader's to refuse. */
export const configSchema = z.object({
  grpc: grpc.prefault({}),
  storage: storage.prefault({}),
  cni: cni.prefault({}),
  containerd: containerd.prefault({}),
  sandbox: sandbox.prefault({}),
  runtime: runtime.prefault({}),
  streaming: streaming.prefault({}),
  metrics: metrics.prefault({}),
  log: log.prefault({}),
});

type Frozen<T> =
  T extends ReadonlyMap<unknown, unknown>
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Item[]
      : T extends object
        ? { readonly [Key in keyof T]: Frozen<T[Key]> }
        : T;

export type RuntimeHandler = Readonly<z.output<typeof runtimeHandler>>;

/** The whole configuration: complete, checked and frozen. Passed down in slices; nothing else reads files or the environment. */
export type Config = Frozen<z.output<typeof configSchema>>;
export type GrpcConfig = Config['grpc'];
export type StorageConfig = Config['storage'];
export type CniConfig = Config['cni'];
export type ContainerdConfig = Config['containerd'];
export type SandboxConfig = Config['sandbox'];
export type RuntimeConfig = Config['runtime'];
export type StreamingConfig = Config['streaming'];
export type MetricsConfig = Config['metrics'];
export type LogConfig = Config['log'];
