const NANOS = 1_000_000_000n;

/** Nanoseconds since the epoch from protobuf's Timestamp; 0 when it is absent, or Go's zero time. */
export function fromTimestamp(timestamp: { seconds: string; nanos: number } | null): bigint {
  if (timestamp === null) return 0n;
  const seconds = BigInt(timestamp.seconds);
  return seconds < 0n ? 0n : seconds * NANOS + BigInt(timestamp.nanos);
}

/** protobuf's Timestamp from nanoseconds since the epoch. */
export function toTimestamp(nanos: bigint): { seconds: string; nanos: number } {
  return { seconds: String(nanos / NANOS), nanos: Number(nanos % NANOS) };
}
