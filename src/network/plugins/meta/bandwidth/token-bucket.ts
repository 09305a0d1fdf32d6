import type { TokenBucket } from '../../../../kernel/netlink/qdiscs.ts';

/** How long a packet may wait for its turn, in microseconds. */
const LATENCY_US = 25_000;
const US_PER_SECOND = 1_000_000;
const MAX_U32 = 0xffff_ffff;

/** A bucket that cannot take one packet of this size lets none through. */
const LARGEST_PACKET = 65_536;

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
    buffer: bufferOf(burstUs, Number(bytesPerSecond), ticksPerUs),
  };
}

/**
 * The time that it takes to fill the bucket, in ticks. With the burst that Kubernetes' runtimes ask for and less than 16 Mbit/s it does not
 * fit into 32 bits, and the reference plugin does not look.
 */
function bufferOf(burstUs: number, bytesPerSecond: number, ticksPerUs: number): number {
  const ticks = Math.trunc(burstUs * ticksPerUs);
  if (ticks <= MAX_U32) return ticks;
  const converted = uint32(Math.trunc(uint32(burstUs) * ticksPerUs));
  const holds = ((converted / ticksPerUs) * bytesPerSecond) / US_PER_SECOND;
  return holds < LARGEST_PACKET ? MAX_U32 : converted;
}

/** What Go makes of a float64 that does not fit: it is cut off on ARM, and wraps around elsewhere. */
function uint32(value: number): number {
  return process.arch === 'arm64' ? Math.min(value, MAX_U32) : value % (MAX_U32 + 1);
}
