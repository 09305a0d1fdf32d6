import type { ContainerConfig__Output } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { LinuxContainerResources__Output } from '../../../src/gen/runtime/v1/LinuxContainerResources.ts';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import type { Mount__Output } from '../../../src/gen/runtime/v1/Mount.ts';
import type { NamespaceOption__Output } from '../../../src/gen/runtime/v1/NamespaceOption.ts';
import type { PodSandboxConfig__Output } from '../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import type { HostFacts } from '../../../src/oci/host-facts.ts';
import { parseImageConfig } from '../../../src/oci/image-config.ts';
import type { HandlerRules, SandboxFacts, SpecInput } from '../../../src/oci/input.ts';
import type { RuntimeFeatures } from '../../../src/oci/runtime-features.ts';
import { loadSeccompTemplate } from '../../../src/oci/seccomp-template.ts';

/** Messages as they come from the wire when nothing is set. */
export const security = (
  part: Partial<LinuxContainerSecurityContext__Output> = {},
): LinuxContainerSecurityContext__Output => ({
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
  ...part,
});

export const resources = (
  part: Partial<LinuxContainerResources__Output> = {},
): LinuxContainerResources__Output => ({
  cpuPeriod: '0',
  cpuQuota: '0',
  cpuShares: '0',
  memoryLimitInBytes: '0',
  oomScoreAdj: '0',
  cpusetCpus: '',
  cpusetMems: '',
  hugepageLimits: [],
  unified: {},
  memorySwapLimitInBytes: '0',
  ...part,
});

export const mount = (part: Partial<Mount__Output>): Mount__Output => ({
  containerPath: '',
  hostPath: '',
  readonly: false,
  selinuxRelabel: false,
  propagation: 'PROPAGATION_PRIVATE',
  uidMappings: [],
  gidMappings: [],
  recursiveReadOnly: false,
  image: null,
  imageSubPath: '',
  ...part,
});

export const namespaceOptions = (part: Partial<NamespaceOption__Output> = {}): NamespaceOption__Output => ({
  network: 'POD',
  pid: 'POD',
  ipc: 'POD',
  targetId: '',
  usernsOptions: null,
  ...part,
});

export const containerConfig = (part: Partial<ContainerConfig__Output> = {}): ContainerConfig__Output => ({
  metadata: { name: 'web', attempt: 0 },
  image: null,
  command: ['true'],
  args: [],
  workingDir: '',
  envs: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: {},
  logPath: '',
  stdin: false,
  stdinOnce: false,
  tty: false,
  linux: null,
  windows: null,
  CDIDevices: [],
  stopSignal: 'RUNTIME_DEFAULT',
  ...part,
});

/** A container config that differs in its security context only. */
export const secured = (
  part: Partial<LinuxContainerSecurityContext__Output>,
  config: Partial<ContainerConfig__Output> = {},
): ContainerConfig__Output =>
  containerConfig({ linux: { resources: null, securityContext: security(part) }, ...config });

export const sandboxConfig = (part: Partial<PodSandboxConfig__Output> = {}): PodSandboxConfig__Output => ({
  metadata: { name: 'shop', uid: 'u-1', namespace: 'prod', attempt: 0 },
  hostname: 'shop-host',
  logDirectory: '',
  dnsConfig: null,
  portMappings: [],
  labels: {},
  annotations: {},
  linux: null,
  windows: null,
  ...part,
});

/** A sandbox config whose pod is privileged or has other namespaces. */
export const securedSandbox = (
  part: { privileged?: boolean; namespaceOptions?: NamespaceOption__Output; cgroupParent?: string } = {},
): PodSandboxConfig__Output =>
  sandboxConfig({
    linux: {
      cgroupParent: part.cgroupParent ?? '',
      securityContext: {
        namespaceOptions: part.namespaceOptions ?? null,
        selinuxOptions: null,
        runAsUser: null,
        readonlyRootfs: false,
        supplementalGroups: [],
        privileged: part.privileged ?? false,
        seccompProfilePath: '',
        runAsGroup: null,
        seccomp: null,
        apparmor: null,
        supplementalGroupsPolicy: 'Merge',
      },
      sysctls: {},
      overhead: null,
      resources: null,
    },
  });

export const sandboxFacts = (part: Partial<SandboxFacts> = {}): SandboxFacts => ({
  id: 'sandbox1',
  config: sandboxConfig(),
  namespaces: { network: '/pins/net', ipc: '/pins/ipc', uts: '/pins/uts' },
  shm: '/absent/shm',
  files: { hostname: '/absent/hostname', hosts: '/absent/hosts', resolvConf: '/absent/resolv.conf' },
  ...part,
});

export const hostFacts = (part: Partial<HostFacts> = {}): HostFacts => ({
  cgroups: 'v1',
  swapLimit: true,
  hugepageLimit: true,
  capabilities: ['CAP_CHOWN', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN'],
  leastOomScoreAdj: undefined,
  seccomp: true,
  selinux: undefined,
  apparmor: undefined,
  hostname: () => 'node1',
  architecture: 'x64',
  ...part,
});

export const features = (part: Partial<RuntimeFeatures> = {}): RuntimeFeatures => ({
  name: 'runc',
  recursiveReadOnly: true,
  idmap: true,
  userNamespaces: true,
  ...part,
});

export const handlerRules = (part: Partial<HandlerRules> = {}): HandlerRules => ({
  type: 'io.containerd.runc.v2',
  podAnnotations: [],
  containerAnnotations: [],
  privilegedWithoutHostDevices: false,
  privilegedWithoutHostDevicesAllDevicesAllowed: false,
  cgroupWritable: false,
  ...part,
});

const template = await loadSeccompTemplate();

export const specInput = (part: Partial<SpecInput> = {}): SpecInput => ({
  id: 'container1',
  config: containerConfig(),
  sandbox: sandboxFacts(),
  image: parseImageConfig({}),
  imageName: 'registry.example/web:1',
  accounts: { users: [], groups: [] },
  pidNamespace: '/pins/pid',
  mapHostPath: (path) => Promise.resolve(`/mapped${path}`),
  host: hostFacts(),
  runtime: features(),
  handler: handlerRules(),
  base: BASE_SPEC,
  ownDevices: false,
  seccomp: template,
  unsetSeccomp: '',
  cdiDirectories: [],
  ...part,
});
