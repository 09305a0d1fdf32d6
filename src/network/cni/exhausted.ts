import { messageOf } from '../../lib/errors.ts';

/** host-local's words, built in or not. Who delegates to it passes them on. */
const EXHAUSTED = /no IP addresses available in range set/;

/**
 * Whether a plugin failed since a range has no address left. That is how a node fills up: the next ADD fails, pods that have their
 * address go on.
 */
export function isExhausted(error: unknown): boolean {
  return EXHAUSTED.test(messageOf(error));
}
