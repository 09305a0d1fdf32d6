/** Addresses, networks and CNI results for properties. */
import fc from 'fast-check';
import type { Result } from '../../src/network/cni/types.ts';
import {
  type Address,
  bits,
  type Cidr,
  formatAddress,
  formatCidr,
} from '../../src/network/plugins/address.ts';

/** IPv4-mapped IPv6 addresses are IPv4 to the plugins, as to Go: no value of family 6 is one. */
const MAPPED = { from: 0xffffn << 32n, to: (0xffffn << 32n) | 0xffff_ffffn };

function isMapped(value: bigint): boolean {
  return value >= MAPPED.from && value <= MAPPED.to;
}

/** One of a family, from the least value to the most. */
export function addressBetween(family: 4 | 6, least: bigint, most: bigint): fc.Arbitrary<Address> {
  return fc
    .bigInt({ min: least, max: most })
    .filter((value) => family === 4 || !isMapped(value))
    .map((value) => ({ family, value }));
}

export const anyAddress: fc.Arbitrary<Address> = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) => addressBetween(family, 0n, (1n << BigInt(bits(family))) - 1n));

/** With whatever host bits. */
export const anyCidr: fc.Arbitrary<Cidr> = anyAddress.chain((address) =>
  fc.nat(bits(address.family)).map((prefix) => ({ address, prefix })),
);

const addressText = anyAddress.map(formatAddress);
export const anyCidrText = anyCidr.map(formatCidr);

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

export function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

const someInterface = fc
  .record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    mac: optional(fc.constant('02:00:00:00:00:01')),
    mtu: optional(fc.integer({ min: 68, max: 9000 })),
    sandbox: optional(fc.constant('/run/netns/a')),
  })
  .map(defined);

function someIp(interfaces: number): fc.Arbitrary<Result['ips'][number]> {
  const index = interfaces === 0 ? fc.constant(undefined) : optional(fc.nat(interfaces - 1));
  return fc
    .record({ interface: index, address: anyCidrText, gateway: optional(addressText) })
    .map(defined) as fc.Arbitrary<Result['ips'][number]>;
}

const someRoute = fc
  .record({
    dst: anyCidrText,
    gw: optional(addressText),
    mtu: optional(fc.integer({ min: 1, max: 9000 })),
    advmss: optional(fc.integer({ min: 1, max: 9000 })),
    priority: optional(fc.integer({ min: 1, max: 99 })),
    table: optional(fc.nat(99)),
    scope: optional(fc.nat(255)),
  })
  .map(defined) as fc.Arbitrary<Result['routes'][number]>;

const someDns = fc
  .record({
    nameservers: optional(fc.array(addressText, { minLength: 1, maxLength: 2 })),
    domain: optional(fc.constant('cluster.local')),
    search: optional(fc.array(fc.domain(), { minLength: 1, maxLength: 2 })),
    options: optional(fc.constantFrom<string[]>(['ndots:5'])),
  })
  .map(defined) as fc.Arbitrary<Result['dns']>;

/** A result in Berth's own form, all of whose interface indexes are in range. */
export const anyResult: fc.Arbitrary<Result> = fc.array(someInterface, { maxLength: 4 }).chain((interfaces) =>
  fc
    .record({
      cniVersion: fc.constant('1.1.0'),
      interfaces: fc.constant(interfaces as Result['interfaces']),
      ips: fc.array(someIp(interfaces.length), { maxLength: 5 }),
      routes: fc.array(someRoute, { maxLength: 5 }),
      dns: someDns,
    })
    .map(defined),
);
