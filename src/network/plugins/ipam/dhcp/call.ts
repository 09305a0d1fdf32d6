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
}

/** A result after ADD; nothing after other verbs. */
export type LeaseReply = { readonly result?: Result } | { readonly failure: Failure };
