/** Now, in nanoseconds since the epoch; the resolution is a microsecond. */
export function nowNanos(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n;
}
