/**
 * What the runtime tells plugins about a pod: CNI_ARGS, and capability arguments by the conventions of CNI
 * (CONVENTIONS, "Dynamic Plugin specific Fields"; names in lower camel case, which Go readers take as well).
 */
import { type BerthError, invalid } from '../../lib/errors.ts';
import type { JsonObject } from '../../lib/json.ts';
import { parseQuantity } from './quantity.ts';

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly sandboxId: string;
}

/** CNI_ARGS of a pod, in the order that CRI-O has: what kubelet's plugins have always been given. */
export function podArgs(pod: PodIdentity): [string, string][] {
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', pod.namespace],
    ['K8S_POD_NAME', pod.name],
    ['K8S_POD_INFRA_CONTAINER_ID', pod.sandboxId],
    ['K8S_POD_UID', pod.uid],
  ];
}

/** CNI_ARGS as the protocol writes them; refuses what would read back as something else. */
export function formatArgs(args: readonly (readonly [string, string])[]): string {
  for (const [key, value] of args) {
    if (/[;=]/.test(key) || /[;=\0]/.test(value))
      throw invalid(`CNI_ARGS ${key}`, `"${value}" must not contain ';' or '='`);
  }
  return args.map(([key, value]) => `${key}=${value}`).join(';');
}

export interface PodPortMapping {
  /** TCP, UDP or SCTP, in any case. */
  readonly protocol: string;
  readonly containerPort: number;
  /** 0 or less: no host port is wanted. */
  readonly hostPort: number;
  readonly hostIp: string;
}

export interface PodCapabilities {
  readonly portMappings?: readonly PodPortMapping[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly dns?: {
    readonly servers: readonly string[];
    readonly searches: readonly string[];
    readonly options: readonly string[];
  };
  readonly cgroupPath?: string;
}

/**
 * All capability arguments of a pod; a plugin is given those whose capability it declares. Throws INVALID_ARGUMENT
 * naming the annotation when a bandwidth is no quantity or out of range.
 */
export function capabilityArgs(pod: PodCapabilities): JsonObject {
  const mappings = (pod.portMappings ?? []).filter((mapping) => mapping.hostPort > 0).map(portMapping);
  const annotations = pod.annotations ?? {};
  const bandwidth = bandwidthOf(annotations);
  return {
    ...(mappings.length === 0 ? {} : { portMappings: mappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(pod.dns === undefined ? {} : { dns: dnsOf(pod.dns) }),
    ...(pod.cgroupPath === undefined || pod.cgroupPath === '' ? {} : { cgroupPath: pod.cgroupPath }),
    'io.kubernetes.cri.pod-annotations': { ...annotations },
  };
}

function portMapping(mapping: PodPortMapping): JsonObject {
  return {
    hostPort: mapping.hostPort,
    containerPort: mapping.containerPort,
    protocol: mapping.protocol.toLowerCase(),
    ...(mapping.hostIp === '' ? {} : { hostIP: mapping.hostIp }),
  };
}

function dnsOf(dns: NonNullable<PodCapabilities['dns']>): JsonObject {
  return { servers: [...dns.servers], searches: [...dns.searches], options: [...dns.options] };
}

/** As large as the bandwidth plugin takes (bits, 32 bit in bytes): the rate alone limits. */
const BURST_BITS = 2 ** 32 - 1;
const LEAST_RATE = 1_000n;
const LARGEST_RATE = 1_000_000_000_000_000n;

function bandwidthOf(annotations: Readonly<Record<string, string>>): JsonObject | undefined {
  const ingress = rateOf(annotations, 'kubernetes.io/ingress-bandwidth');
  const egress = rateOf(annotations, 'kubernetes.io/egress-bandwidth');
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress === undefined ? {} : { ingressRate: ingress, ingressBurst: BURST_BITS }),
    ...(egress === undefined ? {} : { egressRate: egress, egressBurst: BURST_BITS }),
  };
}

/** Bits per second. */
function rateOf(annotations: Readonly<Record<string, string>>, key: string): number | undefined {
  const text = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
  if (text === undefined) return undefined;
  const rate = parseQuantity(text);
  if (rate === undefined) throw badRate(key, text, 'is not a quantity such as 10M');
  if (rate < LEAST_RATE) throw badRate(key, text, 'resource is unreasonably small (< 1kbit)');
  if (rate > LARGEST_RATE) throw badRate(key, text, 'resource is unreasonably large (> 1Pbit)');
  return Number(rate);
}

function badRate(key: string, text: string, problem: string): BerthError {
  return invalid(`annotation ${key}`, `"${text.slice(0, 64)}" ${problem}`);
}
