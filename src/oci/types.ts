/**
 * The OCI runtime specification: those parts of config.json that Berth writes, or reads from a seccomp profile. Nothing
 * here is ever changed in place. Source: opencontainers/runtime-spec, config.md and config-linux.md.
 */
import type { Integer } from '../lib/exact-json.ts';

export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly process: Process;
  readonly root: { readonly path: string; readonly readonly?: boolean };
  readonly mounts: readonly SpecMount[];
  readonly hooks?: Hooks;
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: Linux;
}

export interface Process {
  readonly terminal?: boolean;
  readonly user: User;
  readonly args: readonly string[];
  /** `NAME=value`, each name once. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Capabilities;
  readonly rlimits?: readonly Rlimit[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly oomScoreAdj?: number;
  readonly selinuxLabel?: string;
}

export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Ascending, gid among them. */
  readonly additionalGids: readonly number[];
}

/** Names with `CAP_`. */
export interface Capabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface Rlimit {
  /** `RLIMIT_NOFILE`. */
  readonly type: string;
  readonly soft: Integer;
  readonly hard: Integer;
}

export interface SpecMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  readonly uidMappings?: readonly LinuxIdMapping[];
  readonly gidMappings?: readonly LinuxIdMapping[];
}

export interface LinuxIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface Hook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export const HOOK_NAMES = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;
export type HookName = (typeof HOOK_NAMES)[number];
export type Hooks = Readonly<Partial<Record<HookName, readonly Hook[]>>>;

export interface Linux {
  readonly uidMappings?: readonly LinuxIdMapping[];
  readonly gidMappings?: readonly LinuxIdMapping[];
  readonly resources: LinuxResources;
  readonly cgroupsPath: string;
  readonly namespaces: readonly LinuxNamespace[];
  readonly devices?: readonly LinuxDevice[];
  readonly seccomp?: LinuxSeccomp;
  readonly rootfsPropagation?: 'rshared' | 'rslave';
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly intelRdt?: IntelRdt;
  readonly netDevices?: Readonly<Record<string, { readonly name: string }>>;
}

export type NamespaceType = 'cgroup' | 'ipc' | 'mount' | 'network' | 'pid' | 'user' | 'uts';

export interface LinuxNamespace {
  readonly type: NamespaceType;
  /** The namespace to join; a new one without it. */
  readonly path?: string;
}

/** Block, character and FIFO; `u` is a character device, too. */
export type DeviceType = 'b' | 'c' | 'p' | 'u';

export interface LinuxDevice {
  readonly path: string;
  readonly type: DeviceType;
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface LinuxDeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Of `r`, `w` and `m` (mknod). */
  readonly access: string;
}

export interface LinuxResources {
  readonly devices: readonly LinuxDeviceRule[];
  readonly memory?: { readonly limit?: Integer; readonly swap?: Integer };
  readonly cpu?: {
    readonly shares?: Integer;
    /** Microseconds in a period; -1 for no limit. */
    readonly quota?: Integer;
    /** Microseconds. */
    readonly period?: Integer;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: Integer }[];
  /** File name in cgroup v2 → what is written to it. */
  readonly unified?: Readonly<Record<string, string>>;
}

export interface LinuxSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly LinuxSyscall[];
}

export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly LinuxSyscallArg[];
}

export interface LinuxSyscallArg {
  readonly index: number;
  readonly value: Integer;
  readonly valueTwo?: Integer;
  readonly op: string;
}

export interface IntelRdt {
  readonly closID?: string;
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
  readonly enableCMT?: boolean;
  readonly enableMBM?: boolean;
}
