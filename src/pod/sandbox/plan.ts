/**
 * What a RunPodSandbox request asks for, checked. Everything here happens before the first side effect: a request that
 * is refused leaves nothing.
 */
import { requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import { isIP } from 'node:net';
import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DNSConfig__Output } from '../../gen/runtime/v1/DNSConfig.ts';
import type { NamespaceOption__Output } from '../../gen/runtime/v1/NamespaceOption.ts';
import type { PodSandboxConfig__Output } from '../../gen/runtime/v1/PodSandboxConfig.ts';
import type { PortMapping__Output } from '../../gen/runtime/v1/PortMapping.ts';
import type { Config } from '../../config/schema.ts';
import { driverOfParent, sliceDirectory } from '../../kernel/cgroups.ts';
import { invalid } from '../../lib/errors.ts';
import { checkSelinuxOptions } from '../../oci/selinux.ts';
import { askedUserNamespace } from '../../oci/user-namespace.ts';
import { checkAnnotations, checkLabels } from '../labels.ts';
import { checkName } from '../name.ts';
import { podSysctls } from './sysctls.ts';

const HOSTNAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i;
/** sethostname(2). */
const HOSTNAME_MAX = 64;

export interface SandboxPlan {
  readonly config: PodSandboxConfig__Output;
  readonly metadata: { name: string; namespace: string; uid: string; attempt: number };
  /** The name that is reserved for the sandbox's whole life: `<name>_<namespace>_<uid>_<attempt>`. */
  readonly reservedName: string;
  readonly runtimeHandler: string;
  readonly namespaces: { readonly network: 'POD' | 'NODE'; readonly ipc: 'POD' | 'NODE' };
  /** Empty: the pod keeps the node's UTS namespace. */
  readonly hostname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
}

/** Checks a request. Throws INVALID_ARGUMENT that names the first bad field. */
export function planSandbox(
  config: PodSandboxConfig__Output | null,
  runtimeHandler: string,
  settings: Pick<Config, 'containerd' | 'sandbox' | 'runtime'>,
): SandboxPlan {
  if (config === null) throw invalid('config', 'must be set');
  const metadata = checkMetadata(config);
  requireRuntimeHandler(settings.containerd, runtimeHandler);
  checkPath('config.log_directory', config.logDirectory);
  checkDns(config.dnsConfig);
  checkPorts(config.portMappings);
  checkLabels('config.labels', config.labels);
  checkAnnotations('config.annotations', config.annotations);
  const cgroupParent = config.linux?.cgroupParent ?? '';
  checkCgroupParent(cgroupParent, settings.runtime.cgroupDriver);
  const namespaces = checkNamespaces(config.linux?.securityContext?.namespaceOptions ?? null);
  checkHostname(config.hostname);
  checkSelinuxOptions(
    config.linux?.securityContext?.selinuxOptions ?? null,
    'config.linux.security_context.selinux_options',
  );
  return {
    config,
    metadata,
    reservedName: [metadata.name, metadata.namespace, metadata.uid, metadata.attempt].join('_'),
    runtimeHandler,
    namespaces,
    hostname: namespaces.network === 'NODE' ? '' : config.hostname,
    sysctls: podSysctls(
      config.linux?.sysctls ?? {},
      { network: namespaces.network === 'POD', ipc: namespaces.ipc === 'POD' },
      settings.sandbox,
    ),
    cgroupParent,
  };
}

function checkMetadata(config: PodSandboxConfig__Output): SandboxPlan['metadata'] {
  if (config.metadata === null) throw invalid('config.metadata', 'must be set');
  const { name, namespace, uid } = config.metadata;
  checkName('config.metadata.name', name, 253);
  checkName('config.metadata.namespace', namespace, 253);
  checkName('config.metadata.uid', uid, 128);
  return config.metadata;
}

function checkPath(field: string, path: string): void {
  if (path.length > 4096 || path.includes('\0')) throw invalid(field, 'is not a path');
  if (path.split('/').includes('..')) throw invalid(field, 'must not contain ".."');
  if (path !== '' && !path.startsWith('/')) throw invalid(field, 'must be an absolute path');
}

/** A slice for systemd, an absolute path for cgroupfs; what is configured to be kubelet's driver makes the other a mistake. */
function checkCgroupParent(parent: string, configured: Config['runtime']['cgroupDriver']): void {
  const field = 'config.linux.cgroup_parent';
  const driver = driverOfParent(parent);
  checkPath(field, driver === 'systemd' ? `/${parent}` : parent);
  if (driver === 'systemd') sliceDirectory(posix.basename(parent));
  if (parent === '' || configured === 'auto' || configured === driver) return;
  const what = driver === 'systemd' ? 'a slice of systemd' : 'no slice of systemd';
  throw invalid(
    field,
    `${JSON.stringify(parent)} is ${what}, but [runtime] cgroup_driver is "${configured}"`,
  );
}

function checkDns(dns: DNSConfig__Output | null): void {
  if (dns === null) return;
  for (const field of ['servers', 'searches', 'options'] as const) {
    for (const [i, value] of dns[field].entries()) {
      if (value === '' || value.length > 1024 || /[\s\0]/.test(value)) {
        throw invalid(`config.dns_config.${field}[${i}]`, 'must be one word of resolv.conf');
      }
    }
  }
}

function checkPorts(mappings: readonly PortMapping__Output[]): void {
  const taken = new Map<string, number>();
  for (const [i, mapping] of mappings.entries()) {
    const field = `config.port_mappings[${i}]`;
    if (!['TCP', 'UDP', 'SCTP'].includes(mapping.protocol))
      throw invalid(`${field}.protocol`, 'must be TCP, UDP or SCTP');
    checkPort(`${field}.container_port`, mapping.containerPort);
    checkPort(`${field}.host_port`, mapping.hostPort);
    if (mapping.hostIp !== '' && isIP(mapping.hostIp) === 0)
      throw invalid(`${field}.host_ip`, 'is not an IP address');
    if (mapping.hostPort === 0) continue;
    if (mapping.containerPort === 0)
      throw invalid(`${field}.container_port`, 'must be set when host_port is');
    const key = `${mapping.protocol} ${mapping.hostIp} ${mapping.hostPort}`;
    const other = taken.get(key);
    if (other !== undefined)
      throw invalid(`${field}.host_port`, `${mapping.hostPort} is already taken by port_mappings[${other}]`);
    taken.set(key, i);
  }
}

function checkPort(field: string, port: number): void {
  if (port < 0 || port > 65535) throw invalid(field, `${port} is not between 0 and 65535`);
}

/** Every pid mode is accepted: it matters to containers, and is echoed in the status. */
function checkNamespaces(options: NamespaceOption__Output | null): SandboxPlan['namespaces'] {
  const field = 'config.linux.security_context.namespace_options';
  if (options === null) return { network: 'POD', ipc: 'POD' };
  if (!['POD', 'CONTAINER', 'NODE', 'TARGET'].includes(options.pid))
    throw invalid(`${field}.pid`, `unknown mode ${options.pid}`);
  askedUserNamespace(options.usernsOptions, `${field}.userns_options`);
  return {
    network: podOrNode(`${field}.network`, options.network),
    ipc: podOrNode(`${field}.ipc`, options.ipc),
  };
}

function podOrNode(field: string, mode: string): 'POD' | 'NODE' {
  if (mode !== 'POD' && mode !== 'NODE') throw invalid(field, `must be POD or NODE, not ${mode}`);
  return mode;
}

function checkHostname(hostname: string): void {
  if (hostname === '') return;
  if (hostname.length > HOSTNAME_MAX)
    throw invalid('config.hostname', `is longer than ${HOSTNAME_MAX} characters`);
  if (!HOSTNAME.test(hostname)) throw invalid('config.hostname', 'must be letters, digits, "." and "-"');
}

/** True when both ask for the same sandbox; the order of map entries does not matter. */
export function sameSandbox(
  a: Pick<SandboxPlan, 'config' | 'runtimeHandler'>,
  b: Pick<SandboxPlan, 'config' | 'runtimeHandler'>,
): boolean {
  return a.runtimeHandler === b.runtimeHandler && isDeepStrictEqual(a.config, b.config);
}
