import type { RuntimeHandler } from '../config/schema.ts';
import type { ContainerConfig__Output } from '../gen/runtime/v1/ContainerConfig.ts';
import type { LinuxContainerSecurityContext__Output } from '../gen/runtime/v1/LinuxContainerSecurityContext.ts';
import type { Mount__Output } from '../gen/runtime/v1/Mount.ts';
import type { PodSandboxConfig__Output } from '../gen/runtime/v1/PodSandboxConfig.ts';
import type { Accounts } from './accounts.ts';
import type { HostFacts } from './host-facts.ts';
import type { ImageConfig } from './image-config.ts';
import type { RuntimeFeatures } from './runtime-features.ts';
import type { SelinuxLabels } from './selinux.ts';
import type { SeccompTemplate } from './seccomp-template.ts';
import type { LinuxIdMapping, RuntimeSpec } from './types.ts';

/** What a container takes over from its sandbox. */
export interface SandboxFacts {
  readonly id: string;
  readonly config: PodSandboxConfig__Output;
  /** Where each namespace of the pod is pinned; one that the pod shares with the node is absent. */
  readonly namespaces: {
    readonly network?: string;
    readonly ipc?: string;
    readonly uts?: string;
    readonly user?: string;
  };
  /** Mount point of the pod's /dev/shm; '' when it uses the node's. */
  readonly shm: string;
  /** Files that containers mount unless they bring their own. */
  readonly files: { readonly hostname: string; readonly hosts: string; readonly resolvConf: string };
  /** Absent on a node without SELinux. */
  readonly selinux?: SelinuxLabels;
}

export type HandlerRules = Pick<
  RuntimeHandler,
  | 'type'
  | 'podAnnotations'
  | 'containerAnnotations'
  | 'privilegedWithoutHostDevices'
  | 'privilegedWithoutHostDevicesAllDevicesAllowed'
  | 'cgroupWritable'
>;

/** Whose the files of a mount are. */
export interface MountIds {
  readonly uids: readonly LinuxIdMapping[];
  readonly gids: readonly LinuxIdMapping[];
}

/** All that a runtime spec is made of. */
export interface SpecInput {
  readonly id: string;
  readonly config: ContainerConfig__Output;
  readonly sandbox: SandboxFacts;
  readonly image: ImageConfig;
  /** What to write into the annotation: the image as its user named it. */
  readonly imageName: string;
  /** /etc/passwd and /etc/group of the container's root file system. */
  readonly accounts: Accounts;
  /**
   * The pid namespace to join: that of the pause process for POD, that of the target container for TARGET. See pidMode().
   */
  readonly pidNamespace?: string;
  /** The config's mounts with the host paths of image volumes filled in; config.mounts when absent. */
  readonly mounts?: readonly Mount__Output[];
  /** Mounts that give way to one of the config at the same path: the volumes that the image declares. */
  readonly extraMounts?: readonly Mount__Output[];
  /** Gives a host path, and all below it, a label; absent on a node without SELinux. */
  readonly relabel?: (path: string, label: string) => Promise<void>;
  /**
   * Mounts a host path with its ids mapped, for a runtime that cannot; returns where to bind from. Throws FAILED_PRECONDITION when the
   * kernel or the file system cannot either.
   */
  readonly mapHostPath: (path: string, ids: MountIds) => Promise<string>;
  readonly host: HostFacts;
  readonly runtime: RuntimeFeatures;
  /** What the node's operator has said of the runtime handler. */
  readonly handler: HandlerRules;
  /** What is set on top of: BASE_SPEC, or the handler's own. */
  readonly base: RuntimeSpec;
  /** Devices that are asked for belong to whom the container runs as. */
  readonly ownDevices: boolean;
  /** The profile of RuntimeDefault. */
  readonly seccomp: SeccompTemplate;
  /** The seccomp profile of containers that ask for none: `runtime/default`, `localhost/…`; '' for unconfined. */
  readonly unsetSeccomp: string;
  /** Directories of CDI specs, the later one wins. */
  readonly cdiDirectories: readonly string[];
}

/** One part of the spec: takes the draft and gives back the next one. */
export type Step = (spec: RuntimeSpec, input: SpecInput) => RuntimeSpec | Promise<RuntimeSpec>;

/** Name of the field, as errors give it. */
export const SECURITY = 'config.linux.security_context';

const NO_SECURITY: LinuxContainerSecurityContext__Output = {
  capabilities: null,
  privileged: false,
  namespaceOptions: null,
  selinuxOptions: null,
  runAsUser: null,
  runAsUsername: '',
  readonlyRootfs: false,
  supplementalGroups: [],
  apparmorProfile: '',
  seccompProfilePath: '',
  noNewPrivs: false,
  runAsGroup: null,
  maskedPaths: [],
  readonlyPaths: [],
  seccomp: null,
  apparmor: null,
  supplementalGroupsPolicy: 'Merge',
};

/** The container's security context, with the proto's defaults when it is absent. */
export function securityOf(config: ContainerConfig__Output): LinuxContainerSecurityContext__Output {
  return config.linux?.securityContext ?? NO_SECURITY;
}

/** The draft with parts of its process replaced. */
export function withProcessPart(spec: RuntimeSpec, part: Partial<RuntimeSpec['process']>): RuntimeSpec {
  return { ...spec, process: { ...spec.process, ...part } };
}

/** The draft with parts of its linux section replaced. */
export function withLinuxPart(spec: RuntimeSpec, part: Partial<RuntimeSpec['linux']>): RuntimeSpec {
  return { ...spec, linux: { ...spec.linux, ...part } };
}
