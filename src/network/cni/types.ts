/**
 * The vocabulary of CNI as Berth uses it inside: the 1.1.0 forms. Older wire forms are converted at the edge
 * (versions/). Source: CNI specification 1.1.0.
 */
import type { JsonObject } from '../../lib/json.ts';

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One interface of a result. An empty or absent sandbox means an interface of the host. */
export interface ResultInterface {
  name: string;
  mac?: string;
  mtu?: number;
  sandbox?: string;
  socketPath?: string;
  pciID?: string;
}

/** One address of a result; `interface` indexes the result's interfaces. */
export interface ResultIp {
  interface?: number;
  /** Address with prefix length, e.g. `10.88.0.5/16`. */
  address: string;
  gateway?: string;
}

export interface ResultRoute {
  dst: string;
  gw?: string;
  mtu?: number;
  advmss?: number;
  priority?: number;
  table?: number;
  scope?: number;
}

export interface ResultDns {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** A success result in 1.1.0 form, whatever version the plugin spoke. */
export interface Result {
  cniVersion: string;
  interfaces: ResultInterface[];
  ips: ResultIp[];
  routes: ResultRoute[];
  dns: ResultDns;
}

/** Well-known error codes of the specification (section "Error"); 999 is what the reference skeleton uses. */
export const CniCode = {
  IncompatibleVersion: 1,
  UnsupportedField: 2,
  ContainerUnknown: 3,
  InvalidEnvironment: 4,
  IoFailure: 5,
  DecodeFailure: 6,
  InvalidNetworkConfig: 7,
  InvalidNetns: 8,
  TryAgainLater: 11,
  NotAvailable: 50,
  LimitedConnectivity: 51,
  Internal: 999,
} as const;

/** The error object of the protocol: what a plugin prints on stdout when it fails. */
export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** An error of the protocol as one text, in libcni's form: people see it where details have no place of their own. */
export function withDetails(message: string, details: string): string {
  return details === '' || message.endsWith(details) ? message : `${message}; ${details}`;
}

/** One plugin's object of a list, all keys kept. */
export interface PluginConf extends JsonObject {
  type: string;
}

/** A network configuration list, from a .conflist, or a .conf/.json wrapped into a list of one. */
export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly PluginConf[];
  /** The file that it was read from; '' when there is none. */
  readonly source: string;
  /** The list as JSON text with the plugin files of `<dir>/<name>/` inlined: what the libcni cache keeps. */
  readonly text: string;
}

/** One container's connection to one network: everything that an operation on it needs. */
export interface Attachment {
  readonly network: NetworkList;
  readonly containerId: string;
  /** Path of the network namespace; '' on a DEL after it is gone. */
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS, in order. */
  readonly args: readonly (readonly [string, string])[];
  /** All capability arguments; each plugin is given those whose capability it declares. */
  readonly capabilityArgs: JsonObject;
}

/** One step of a timeline: one plugin asked to do one thing. */
export interface Step {
  /** Plugin type. */
  plugin: string;
  verb: Verb;
  /** `built-in`, or the path of the executable; '' when none was found. */
  provider: string;
  /** The plugin that delegated to this one, e.g. bridge for its IPAM plugin. */
  delegatedBy?: string;
  /** RFC 3339 time. */
  startedAt: string;
  durationMs: number;
  /** Configuration as given on stdin, secrets masked. */
  config: JsonObject;
  /** Error text, when the step failed. */
  error?: string;
  /** CNI error code, when the step failed with one. */
  code?: number;
  /** The last 4 KiB of stderr. */
  stderr?: string;
}

/** A step that has begun. */
export type BegunStep = Pick<Step, 'plugin' | 'verb' | 'startedAt' | 'delegatedBy'>;
