import { sysctlPath } from '../../kernel/sysctl.ts';
import { invalid } from '../../lib/errors.ts';

/** Sysctls that live in a namespace which a pod has of its own. */
const NAMESPACED = [
  { namespace: 'network', matches: (name: string) => name.startsWith('net.') },
  {
    namespace: 'ipc',
    matches: (name: string) =>
      /^kernel\.(shm|msg)[a-z_]+$/.test(name) || name === 'kernel.sem' || name.startsWith('fs.mqueue.'),
  },
] as const;

const NAME = /^[a-z0-9_-]+([./][a-z0-9_-]+)+$/i;

/** Which namespaces of the pod are its own; those of the node are not for a pod to change. */
export interface OwnNamespaces {
  readonly network: boolean;
  readonly ipc: boolean;
}

/** `[sandbox]` of the configuration. */
export interface SysctlDefaults {
  readonly unprivilegedPorts: boolean;
  readonly unprivilegedIcmp: boolean;
}

/** What a pod with its own network gets unasked. */
export function defaultSysctls(defaults: SysctlDefaults): Record<string, string> {
  return {
    ...(defaults.unprivilegedPorts ? { 'net.ipv4.ip_unprivileged_port_start': '0' } : {}),
    ...(defaults.unprivilegedIcmp ? { 'net.ipv4.ping_group_range': '0 2147483647' } : {}),
  };
}

/**
 * Checks that each sysctl lives in a namespace that is the pod's own, and adds containerd's two defaults for pods with their
 * own network: unprivileged ports and unprivileged ping. What the pod asks for wins.
 */
export function podSysctls(
  asked: Readonly<Record<string, string>>,
  own: OwnNamespaces,
  defaults: SysctlDefaults,
): Record<string, string> {
  const sysctls = own.network ? defaultSysctls(defaults) : {};
  for (const [name, value] of Object.entries(asked)) sysctls[checked(name, value, own)] = value;
  return sysctls;
}

/** Sysctls in the order in which they can be written. */
export interface SysctlsByTime {
  /** In the new namespaces, so that interfaces are made by them. */
  readonly first: Readonly<Record<string, string>>;
  /** Those of one interface, which is there once the network is attached. */
  readonly attached: Readonly<Record<string, string>>;
}

/** Parts sysctls that name an interface, such as `net.ipv4.conf.eth0.arp_ignore`, from all others. */
export function byTime(sysctls: Readonly<Record<string, string>>): SysctlsByTime {
  const entries = Object.entries(sysctls);
  return {
    first: Object.fromEntries(entries.filter(([name]) => !namesInterface(name))),
    attached: Object.fromEntries(entries.filter(([name]) => namesInterface(name))),
  };
}

function namesInterface(name: string): boolean {
  const [, link] = /^\/proc\/sys\/net\/[^/]+\/(?:conf|neigh)\/([^/]+)\//.exec(sysctlPath(name)) ?? [];
  return link !== undefined && !['all', 'default', 'lo'].includes(link);
}

/** The name with dots, as the kernel's documentation writes it, unless an interface name inside has dots itself. */
function checked(name: string, value: string, own: OwnNamespaces): string {
  const field = `config.linux.sysctls["${name.slice(0, 128)}"]`;
  if (!NAME.test(name)) throw invalid(field, 'is not the name of a sysctl');
  if (/[\n\0]/.test(value) || value.length > 4096) throw invalid(field, 'its value must be one line');
  const slashFirst = /^[^.]*\//.test(name);
  const dotted = slashFirst && !name.includes('.') ? name.replaceAll('/', '.') : name;
  const family = slashFirst ? name.replaceAll('/', '.') : name;
  const kind = NAMESPACED.find((n) => n.matches(family));
  if (kind === undefined) throw invalid(field, 'is not namespaced: it would change the node, not the pod');
  if (!own[kind.namespace]) throw invalid(field, `the pod uses the node's ${kind.namespace} namespace`);
  return dotted;
}
