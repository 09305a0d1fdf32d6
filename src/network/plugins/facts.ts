/** What plugins can tell of a network as it is on this node, for people to look at. Finding out changes nothing. */
import type { JsonObject } from '../../lib/json.ts';
import type { OperState } from '../../kernel/netlink/links.ts';

/** Whose a reservation or a rule is: of a pod that is there, of a DEL that is still owed, of nobody that Berth knows. */
export type HolderKind = 'pod' | 'debt' | 'foreign';

/** Everything that this Berth answers for, of whatever network, in a form that goes to a worker thread. */
export interface HolderList {
  /** `<container id> <interface>` of sandboxes. */
  readonly pods: readonly string[];
  /** The same of unpaid debts. */
  readonly debts: readonly string[];
  /** Addresses of unpaid debts, which nobody is given. */
  readonly withheld: readonly string[];
}

/** Tells whose something is. */
export class Holders {
  readonly withheld: ReadonlySet<string>;
  readonly #kinds = new Map<string, HolderKind>();

  constructor({ pods, debts, withheld }: HolderList) {
    this.withheld = new Set(withheld);
    for (const [kind, keys] of [
      ['debt', debts],
      ['pod', pods],
    ] as const) {
      for (const key of keys) {
        this.#kinds.set(key, kind);
        this.#kinds.set(key.split(' ', 1)[0] ?? '', kind);
      }
    }
  }

  /** Without an interface any of the container's will do: old files and nftables rules name the container alone. */
  kindOf(containerId: string, ifName = ''): HolderKind {
    return this.#kinds.get(ifName === '' ? containerId : `${containerId} ${ifName}`) ?? 'foreign';
  }
}

/** A link of the host. */
export interface LinkFacts {
  readonly name: string;
  /** False when there is no such link: nothing else is known then. */
  readonly present: boolean;
  readonly kind: string;
  /** Whether it is set up; `state` is what became of it. */
  readonly up: boolean;
  readonly state: OperState;
  readonly mtu: number;
  /** Name of the bridge that it is a port of; '' for none. */
  readonly master: string;
}

/** The host's link that a network's containers are connected through. */
export interface DeviceFacts extends LinkFacts {
  /** A bridge whose ports they are, or the parent that their interfaces stand on. */
  readonly role: 'bridge' | 'parent';
  /** With prefix lengths. */
  readonly addresses: readonly string[];
  /** Gateways' addresses that pods count on and that are not there. */
  readonly missing: readonly string[];
}

export interface ForeignReservation {
  readonly address: string;
  /** '' in a file that lost its content. */
  readonly containerId: string;
  readonly ifName: string;
}

/** One range that addresses are handed out from. */
export interface PoolFacts {
  /** Number of the range set: an attachment has one address of each. */
  readonly set: number;
  readonly subnet: string;
  readonly from: string;
  readonly to: string;
  readonly gateway: string;
  /** How many addresses can be handed out, the gateway's left out. Beyond 2^53 it is the nearest double. */
  readonly of: number;
  /** Reserved ones; the next three tell whose. */
  readonly used: number;
  readonly pods: number;
  readonly debts: number;
  readonly foreign: number;
  /** `of` without those in use and those that a debt withholds. */
  readonly free: number;
  /** The first FOREIGN_MOST of those that no pod and no debt of ours holds. */
  readonly foreignReservations: readonly ForeignReservation[];
}

/** A port of the host that leads to a container, as the rules in force say. */
export interface HostPortFacts {
  /** `tcp/8080`, or `tcp/127.0.0.1/8080`. */
  readonly port: string;
  readonly containerId: string;
  /** The container's address. */
  readonly target: string;
  readonly holder: HolderKind;
}

/** How many foreign reservations of one range are named. */
export const FOREIGN_MOST = 100;

export interface PluginFacts {
  readonly devices?: readonly DeviceFacts[];
  readonly pools?: readonly PoolFacts[];
  readonly hostPorts?: readonly HostPortFacts[];
  /** Sentences. */
  readonly problems?: readonly string[];
}

/** What a plugin is given to describe itself with. */
export interface Describing {
  readonly holders: Holders;
  /** The pools of its IPAM plugin. */
  readonly pools: readonly PoolFacts[];
  /** What a plugin that it delegates to tells. */
  describe(config: JsonObject): PluginFacts;
}
