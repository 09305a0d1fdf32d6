import type { Cidr } from '../../address.ts';
import type { PortmapConf } from './conf.ts';
import type { LiveMapping } from './conflicts.ts';

/** The mappings of one container in force for its addresses, one per family. */
export interface Forwarding {
  readonly conf: PortmapConf;
  readonly containerId: string;
  readonly addresses: readonly Cidr[];
}

/** Where the rules live. */
export interface PortmapBackend {
  /** Puts the rules in place, those of an earlier try replaced. Throws CniError when a port is taken, BerthError. */
  forward(forwarding: Forwarding): void;
  /** Removes all rules of the container. None there is success. */
  unforward(network: string, containerId: string): void;
  /** The mappings in force, of whatever network. */
  live(): LiveMapping[];
  /** Rules of no valid container: those that are surely of this network, and those that tell no network. */
  stale(network: string, valid: ReadonlySet<string>): StaleForwarding;
  /** Throws CniError when a rule is missing. */
  check(forwarding: Forwarding): void;
}

export interface StaleForwarding {
  /** Ids of containers of this network. */
  readonly containers: readonly string[];
  /** What may be another network's. `containerId` is '' where nothing tells. */
  readonly foreign: readonly { readonly what: string; readonly containerId: string }[];
}
