/**
 * The contract of a built-in plugin. A plugin is a folder under main/, ipam/ or meta/ that exports one Plugin.
 * It is plain synchronous code: it runs on a worker thread inside the daemon, or as `berth cni TYPE`.
 */
import type { JsonObject } from '../../lib/json.ts';
import type { Hints, Remain } from '../cni/invoke/invoke.ts';
import type { Result, Verb } from '../cni/types.ts';
import type { KnownKeys } from './config.ts';
import type { Describing, PluginFacts } from './facts.ts';
import type { LeaseAnswer } from './ipam/dhcp/call.ts';

/** What the protocol gives a plugin (environment and stdin), already checked by the skeleton. */
export interface PluginArgs {
  readonly containerId: string;
  /** Path of the network namespace; '' allowed on DEL only. */
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS as given: `K=V;K=V`. */
  readonly args: string;
  /** CNI_PATH. */
  readonly path: readonly string[];
  /** The whole stdin object. */
  readonly config: JsonObject;
  /** config.prevResult in 1.1.0 form, when there is one. */
  readonly prevResult: Result | undefined;
}

/** What the place gives that a plugin runs in. */
export interface PluginContext {
  readonly hints: Hints;
  /** Calls another plugin with this plugin's environment and the given configuration; throws its CniError. */
  delegate(type: string, verb: Verb, args: PluginArgs): Result | undefined;
  /**
   * Asks the keeper of DHCP leases, which outlive every call; blocks until it has answered. Throws its CniError.
   */
  askLeaseKeeper(verb: Verb, args: PluginArgs): LeaseAnswer;
  /** A line for stderr. */
  log(line: string): void;
  /** GC: has things removed, at once, whose attachments are gone. In a dry run they are only told. None is fine. */
  collect(remains: readonly Omit<Remain, 'verdict'>[], remove: () => void): void;
  /** GC: tells of something that no valid attachment has and that may yet be another network's. It stays. */
  leave(remain: Omit<Remain, 'verdict'>): void;
}

export interface Plugin {
  readonly type: string;
  /** The first version of the specification that it serves; all when absent. */
  readonly since?: string;
  /** The keys that it understands, those of the protocol included: what the table in README.md is made from. */
  readonly keys: KnownKeys;
  /**
   * Names the first key (dotted path) of the configuration that this plugin does not understand, or undefined.
   * With an answer the executable of that name is used instead.
   */
  unknownKey(config: JsonObject): string | undefined;
  /**
   * True when an ADD of this configuration is sure to hand prevResult on and do nothing: then no thread is asked. Absent
   * means never.
   */
  passesOn?(config: JsonObject): boolean;
  /**
   * True when the ADD of this configuration, and that of whatever delegates to it, may wait for seconds for somebody else: it runs on a
   * thread of its own, beside those of networks. Absent means never.
   */
  waits?(config: JsonObject): boolean;
  /** Each throws CniError. add returns the result to pass on. */
  add(args: PluginArgs, context: PluginContext): Result;
  del(args: PluginArgs, context: PluginContext): void;
  check(args: PluginArgs, context: PluginContext): void;
  /** Absent means success, as in the reference skeleton. */
  gc?(args: PluginArgs, context: PluginContext): void;
  status?(args: PluginArgs, context: PluginContext): void;
  /**
   * What there is of the network on this node, for `berth net show`. Reads only. A plugin that delegates its addresses is told of
   * their pools, and adds none. May throw: then the network is shown without it.
   */
  describe?(config: JsonObject, describing: Describing): PluginFacts;
}
