import type { JsonObject } from '../../../../lib/json.ts';
import { badValue, failure, key, objectAt, protocolKeys, wrongType } from '../../config.ts';

/** In bits per second, and bits. */
export interface Limit {
  readonly rate: bigint;
  readonly burst: bigint;
}

export interface Limits {
  /** On what the container receives; undefined for none. */
  readonly ingress: Limit | undefined;
  /** On what it sends. */
  readonly egress: Limit | undefined;
}

export const keys = {
  ...protocolKeys,
  ingressRate: true,
  ingressBurst: true,
  egressRate: true,
  egressBurst: true,
  runtimeConfig: true,
} as const;

const LIMITS = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const;
const MAX_BURST_BYTES = 0xffff_ffffn;

/** The limits of the configuration, or of the runtime when the configuration has none of these keys. Throws CniError. */
export function limitsOf(config: JsonObject): Limits {
  const isConfigured = LIMITS.some((name) => key(config, name) !== undefined);
  const path = 'runtimeConfig.bandwidth';
  const runtime = objectAt(objectAt(config, 'runtimeConfig') ?? {}, 'bandwidth', path) ?? {};
  const source = isConfigured ? config : runtime;
  const at = (name: (typeof LIMITS)[number]): bigint =>
    numberAt(source, name, isConfigured ? name : `${path}.${name}`);
  return {
    ingress: limitOf(at('ingressRate'), at('ingressBurst')),
    egress: limitOf(at('egressRate'), at('egressBurst')),
  };
}

/** JSON has no integers of 64 bits: what is too large to be exact is no burst and no rate that anybody means. */
function numberAt(source: JsonObject, name: string, path: string): bigint {
  const value = key(source, name) ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(path, 'an integer');
  if (value < 0) throw badValue(path, `${value} is less than 0`);
  return BigInt(value);
}

function limitOf(rate: bigint, burst: bigint): Limit | undefined {
  if (rate === 0n && burst === 0n) return undefined;
  if (burst === 0n) throw failure('if rate is set, burst must also be set');
  if (rate === 0n) throw failure('if burst is set, rate must also be set');
  if (burst / 8n >= MAX_BURST_BYTES) throw failure('burst cannot be more than 4GB');
  if (rate < 8n) throw failure(`invalid rate: ${rate}`);
  return { rate, burst };
}
