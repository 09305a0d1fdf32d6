/** What an ADD that failed has left to be undone. */
import { BerthError, messageOf } from '../lib/errors.ts';
import type { DelFailure } from './cni/chain.ts';
import { cniCodeOf } from './cni/plugin-call.ts';
import { CniCode } from './cni/types.ts';

/** How far it came. */
export interface FailedAdd {
  /** Of the plugin that failed, in the network's list; those after it were not called. */
  readonly index: number;
  /** Whether there was anything that could be called. */
  readonly ran: boolean;
  readonly code: number;
  /** In the plugin's own words. */
  readonly reason: string;
}

/** That of a network that was not come to. */
export const NEVER_BEGUN: FailedAdd = { index: -1, ran: false, code: 0, reason: '' };

/** By these a plugin refuses a configuration (CNI specification, section 5). */
const REFUSALS: readonly number[] = [
  CniCode.IncompatibleVersion,
  CniCode.DecodeFailure,
  CniCode.InvalidNetworkConfig,
];

/** Reads it from what Chain.add() threw; undefined when that was no plugin's failure. */
export function failedAdd(error: unknown): FailedAdd | undefined {
  if (!(error instanceof BerthError) || typeof error.meta['index'] !== 'number') return undefined;
  return {
    index: error.meta['index'],
    ran: error.meta['provider'] !== '',
    code: cniCodeOf(error),
    reason: messageOf(error.cause),
  };
}

/**
 * Whether a DEL that failed has to be tried again. Not that of a plugin that has never run for this attachment; nor of one that refuses
 * the configuration now in the words in which it refused it before: it has done nothing with it, and always will.
 */
export function owes({ index, code, reason }: DelFailure, add: FailedAdd | undefined): boolean {
  if (add === undefined || index < add.index) return true;
  if (index > add.index || !add.ran) return false;
  return !(REFUSALS.includes(code) && code === add.code && reason === add.reason);
}
