import type { Result, Verb } from '../../../cni/types.ts';
import type { Failure } from '../../failure.ts';
import type { PluginArgs } from '../../plugin.ts';

/**
 * What the plugin asks the keeper of leases: a call of the protocol, as it was made. It crosses to the main thread, or as JSON over
 * a socket.
 */
export interface LeaseCall extends Pick<PluginArgs, 'containerId' | 'netns' | 'ifName' | 'args' | 'config'> {
  readonly verb: Verb;
  /** When the caller gives up, in milliseconds since the epoch; undefined when that is not known. */
  readonly deadline?: number | undefined;
  /** GC only: tell what is stale, and keep it. */
  readonly dryRun?: boolean | undefined;
}

/** A lease whose attachment is gone. */
export interface StaleLease {
  readonly containerId: string;
  readonly ifName: string;
  readonly address: string;
}

/** A result after ADD; after GC what was stale, and is given back unless it was a dry run; nothing after other verbs. */
export interface LeaseAnswer {
  readonly result?: Result;
  readonly stale?: readonly StaleLease[];
}

export type LeaseReply = LeaseAnswer | { readonly failure: Failure };
