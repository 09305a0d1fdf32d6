import type { TokenBucket } from '../../../../kernel/netlink/qdiscs.ts';

/** How long a packet may wait for its turn, in microseconds. */
const LATENCY_US = 25_000;
const US_PER_SECOND = 1_000_000;
const MAX_U32 = 0xffff_ffff;

/**
 * The token bucket for a rate in bits per second and a burst in bits. Rounded as the reference plugin rounds, since its CHECK compares
 * the numbers that the kernel gives back.
 */
export function tokenBucket(rate: bigint, burst: bigint, ticksPerUs: number): TokenBucket {
  const bytesPerSecond = rate / 8n;
  const burstBytes = Number(burst / 8n);
  const burstUs = Math.trunc((burstBytes * US_PER_SECOND) / Number(bytesPerSecond));
  const waiting = Math.trunc((Number(bytesPerSecond) * LATENCY_US) / US_PER_SECOND);
  return {
    rate: bytesPerSecond,
    limit: Math.min(waiting + burstBytes, MAX_U32),
    buffer: Math.min(Math.trunc(burstUs * ticksPerUs), MAX_U32),
  };
}
