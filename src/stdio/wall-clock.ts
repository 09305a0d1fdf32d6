const NANOS_PER_MS = 1_000_000n;
/** Date.now() is cut to the millisecond, so an estimate up to this far ahead of it still agrees with it. */
const TOLERANCE = 2n * NANOS_PER_MS;

/**
 * Nanoseconds since the epoch, finer than the millisecond of Date.now() and yet following the system's clock when that is
 * set: a daemon runs for months, and kubelet orders a pod's logs by these times.
 */
export class WallClock {
  #anchorWall = 0n;
  #anchorMonotonic = 0n;

  now(): bigint {
    const wall = BigInt(Date.now()) * NANOS_PER_MS;
    const monotonic = process.hrtime.bigint();
    const estimate = this.#anchorWall + (monotonic - this.#anchorMonotonic);
    if (estimate >= wall && estimate < wall + TOLERANCE) return estimate;
    this.#anchorWall = wall;
    this.#anchorMonotonic = monotonic;
    return wall;
  }
}
