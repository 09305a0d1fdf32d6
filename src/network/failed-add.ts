/** What an ADD that failed has left to be undone. */
import { messageOf } from '../lib/errors.ts';
import { FailedPlugin } from './cni/chain.ts';
import type { DelFailure } from './cni/del.ts';
import { cniCodeOf } from './cni/plugin-call.ts';
import { CniCode, type Result } from './cni/types.ts';

/** How far it came. */
export interface FailedAdd {
  /** Of the plugin that failed, in the network's list; those after it were not called. */
  readonly index: number;
  /** Whether there was anything that could be called. */
  readonly ran: boolean;
  readonly code: number;
  /** In the plugin's own words. */
  readonly reason: string;
  /** Of the plugins before it: what their DELs, and its own, find their work by. */
  readonly prevResult?: Result | undefined;
}

/** That of a network that was not come to. */
export const NEVER_BEGUN: FailedAdd = { index: -1, ran: false, code: 0, reason: '' };

/** By these a plugin refuses a configuration (CNI specification, section 5). */
const REFUSALS: readonly number[] = [
  CniCode.IncompatibleVersion,
  CniCode.DecodeFailure,
  CniCode.InvalidNetworkConfig,
];

/** libcni's words when the plugin that another one delegates to is not there. */
const NOT_THERE = /\bfailed to find plugin "/;

/** Reads it from what Chain.add() threw; undefined when that was no plugin's failure. */
export function failedAdd(error: unknown): FailedAdd | undefined {
  if (!(error instanceof FailedPlugin)) return undefined;
  const { index, meta, cause, prevResult } = error;
  return {
    index,
    ran: meta['provider'] !== '',
    code: cniCodeOf(error),
    reason: messageOf(cause),
    prevResult,
  };
}

/**
 * Whether a DEL that failed has to be tried again. Not that of a plugin that has never run for this attachment; nor of one that refuses
 * the configuration now in the words in which it refused it before, or misses the same delegate: it has done nothing with it, and always will.
 */
export function owes({ index, code, reason }: DelFailure, add: FailedAdd | undefined): boolean {
  if (add === undefined || index < add.index) return true;
  if (index > add.index || !add.ran) return false;
  const isFinal = REFUSALS.includes(code) || NOT_THERE.test(reason);
  return !(isFinal && code === add.code && reason === add.reason);
}
