/**
 * IP addresses as numbers: parsing and printing as Go's net package does it, since the files and messages of the
 * reference plugins carry its text form.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface Cidr {
  readonly address: Address;
  readonly prefix: number;
}

export function bits(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function parse4(text: string): bigint {
  return text.split('.').reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function groups(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const four = parse4(group);
    return [four >> 16n, four & 0xffffn];
  });
}

function parse6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const left = groups(head);
  const right = groups(tail ?? '');
  const middle = Array<bigint>(8 - left.length - right.length).fill(0n);
  return [...left, ...middle, ...right].reduce((value, group) => (value << 16n) | group, 0n);
}

const mapped4 = 0xffffn << 32n;

/** Parses one address without a prefix; an IPv4-mapped IPv6 address becomes IPv4, as in Go. Undefined when malformed. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 4, value: parse4(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const value = parse6(text);
  if (value >> 32n === mapped4 >> 32n) return { family: 4, value: value & 0xffffffffn };
  return { family: 6, value };
}

/** Parses `address/prefix`; the host bits stay. Undefined when malformed. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const length = text.slice(slash + 1);
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  if (address === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  return prefix > bits(address.family) ? undefined : { address, prefix };
}

function format6(value: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && parts[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: number): string => part.toString(16);
  if (best.start < 0) return parts.map(hex).join(':');
  const head = parts.slice(0, best.start).map(hex).join(':');
  const tail = parts
    .slice(best.start + best.length)
    .map(hex)
    .join(':');
  return `${head}::${tail}`;
}

/** The canonical text: dotted decimal, or RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 6) return format6(value);
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
}

export function formatCidr({ address, prefix }: Cidr): string {
  return `${formatAddress(address)}/${prefix}`;
}

/** The address with its host bits cleared. */
export function networkOf({ address, prefix }: Cidr): Address {
  const host = BigInt(bits(address.family) - prefix);
  return { family: address.family, value: (address.value >> host) << host };
}

/** The address with its host bits set: IPv4's broadcast address. */
export function lastOf({ address, prefix }: Cidr): Address {
  const host = BigInt(bits(address.family) - prefix);
  return { family: address.family, value: address.value | ((1n << host) - 1n) };
}

export function offset(address: Address, by: bigint): Address {
  return { family: address.family, value: address.value + by };
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

/** True when the address lies in the network of the prefix. */
export function inNetwork(address: Address, network: Cidr): boolean {
  if (address.family !== network.address.family) return false;
  return sameAddress(networkOf({ address, prefix: network.prefix }), networkOf(network));
}
