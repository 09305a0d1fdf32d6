/** Queueing disciplines. */
import { readFileSync } from 'node:fs';
import { afterHeader, decodeAttributes, encodeAttributes, type Message } from './codec.ts';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Rtm } from './constants.ts';
import type { NetlinkSocket, Request } from './socket.ts';

export const TC_H_ROOT = 0xffff_ffff;
export const TC_H_INGRESS = 0xffff_fff1;

const HEADER = 20;
const QDISC = { kind: [1, 'string'], options: [2, 'bytes'] } as const;
const TBF = { parameters: [1, 'bytes'], rate64: [4, 'u64'], burst: [6, 'u32'] } as const;
const TBF_PARAMETERS = 36;
const LINK_LAYER_ETHERNET = 1;
const MAX_RATE32 = 0xffff_ffff;

export interface Qdisc {
  readonly index: number;
  readonly kind: string;
  /** Major number in the upper 16 bits. */
  readonly handle: number;
  readonly parent: number;
  /** Of the kind, as they came. */
  readonly options: Buffer;
}

export interface QdiscSpec {
  readonly index: number;
  readonly kind: string;
  /** TC_H_ROOT by default. */
  readonly parent?: number;
  /** The kernel gives one when absent. */
  readonly handle?: number;
  /** Of the kind: tbfOptions. */
  readonly options?: Buffer;
}

function request(type: number, flags: number, spec: QdiscSpec): Request {
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(spec.index, 4);
  header.writeUInt32LE(spec.handle ?? 0, 8);
  header.writeUInt32LE(spec.parent ?? TC_H_ROOT, 12);
  const attributes = encodeAttributes({ kind: spec.kind, options: spec.options }, QDISC);
  return {
    type,
    flags,
    payload: Buffer.concat([header, attributes]),
    subject: `qdisc ${spec.kind} on link ${spec.index}`,
  };
}

/** EEXIST when another one of our making is there; the kernel's own default gives way. */
export function newQdisc(spec: QdiscSpec): Request {
  return request(Rtm.NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, spec);
}

export function replaceQdisc(spec: QdiscSpec): Request {
  return request(Rtm.NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, spec);
}

export function deleteQdisc(spec: QdiscSpec): Request {
  return request(Rtm.DELQDISC, 0, spec);
}

/** What a token bucket filter is told, and tells. */
export interface TokenBucket {
  /** Bytes per second. */
  readonly rate: bigint;
  /** Bytes that may wait. */
  readonly limit: number;
  /** Size of the bucket: the time that it takes to send a burst at this rate, in ticks of the packet scheduler. */
  readonly buffer: number;
}

/** Token bucket filter: rate in bytes per second, limit in bytes; the bucket in bytes (burst) or in ticks (buffer). */
export function tbfOptions(
  options: Omit<TokenBucket, 'buffer'> & ({ readonly burst: number } | { readonly buffer: number }),
): Buffer {
  const parameters = Buffer.alloc(TBF_PARAMETERS);
  // tc_tbf_qopt: tc_ratespec rate, tc_ratespec peakrate, limit, buffer, mtu. The kernel computes the rest from `burst`.
  parameters.writeUInt8(LINK_LAYER_ETHERNET, 1);
  const wide = options.rate > BigInt(MAX_RATE32);
  parameters.writeUInt32LE(wide ? MAX_RATE32 : Number(options.rate), 8);
  parameters.writeUInt32LE(options.limit, 24);
  if ('buffer' in options) parameters.writeUInt32LE(options.buffer, 28);
  const burst = 'burst' in options ? options.burst : undefined;
  return encodeAttributes({ parameters, burst, rate64: wide ? options.rate : undefined }, TBF);
}

/** The parameters of a token bucket filter; undefined when the qdisc is none. */
export function tokenBucketOf(qdisc: Qdisc): TokenBucket | undefined {
  if (qdisc.kind !== 'tbf') return undefined;
  const { parameters, rate64 } = decodeAttributes(qdisc.options, TBF);
  if (parameters?.length !== TBF_PARAMETERS) return undefined;
  return {
    rate: rate64 ?? BigInt(parameters.readUInt32LE(8)),
    limit: parameters.readUInt32LE(24),
    buffer: parameters.readUInt32LE(28),
  };
}

/** Ticks of the packet scheduler in a microsecond. */
export function ticksPerMicrosecond(): number {
  const [perTick = 0, perMicrosecond = 0, clock = 0] = readFileSync('/proc/thread-self/net/psched', 'latin1')
    .trim()
    .split(/\s+/)
    .map((word) => Number.parseInt(word, 16));
  const numerator = clock === 1_000_000_000 ? perMicrosecond : perTick;
  return (numerator / perMicrosecond) * (clock / 1_000_000);
}

export function parseQdisc(message: Message): Qdisc {
  const { payload } = message;
  const { kind, options } = decodeAttributes(afterHeader(payload, HEADER), QDISC);
  return {
    index: payload.readInt32LE(4),
    kind: kind ?? '',
    handle: payload.readUInt32LE(8),
    parent: payload.readUInt32LE(12),
    options: options ?? Buffer.alloc(0),
  };
}

/** Queueing disciplines of one link, or of all. */
export function listQdiscs(socket: NetlinkSocket, filter: { readonly index?: number } = {}): Qdisc[] {
  const header = Buffer.alloc(HEADER);
  return socket
    .dump({ type: Rtm.GETQDISC, flags: 0, payload: header, subject: 'qdiscs' })
    .filter((message) => message.type === Rtm.NEWQDISC)
    .map(parseQdisc)
    .filter(({ index }) => filter.index === undefined || index === filter.index);
}
