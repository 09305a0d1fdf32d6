import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

const NANOS_PER_MS = 1_000_000n;
/** Date.now() is cut to the millisecond, so an estimate up to this far ahead of it still agrees with it. */
const TOLERANCE = 2n * NANOS_PER_MS;

/** A moment by both clocks, of this thread: what came since is told from it. */
let anchor = { wall: 0n, monotonic: 0n };

/**
 * Now, in nanoseconds since the epoch: finer than the millisecond of Date.now(), and yet following the system's clock when that is set. A
 * daemon runs for months, and may have started before the node knew the time.
 */
export function nowNanos(): bigint {
  const wall = BigInt(Date.now()) * NANOS_PER_MS;
  const monotonic = process.hrtime.bigint();
  const estimate = anchor.wall + (monotonic - anchor.monotonic);
  if (estimate >= wall && estimate < wall + TOLERANCE) return estimate;
  anchor = { wall, monotonic };
  return wall;
}

/** Milliseconds since the machine started, also while it was suspended: a clock that nobody sets, and that shows each hundredth of a second. */
export function sinceBootMs(): number {
  return Math.round(1_000 * uptime());
}

/** Which start of the machine sinceBootMs() counts from. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
