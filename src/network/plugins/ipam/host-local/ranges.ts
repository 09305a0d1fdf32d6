import { isJsonObject, type Json, type JsonObject } from '../../../../lib/json.ts';
import {
  type Address,
  bits,
  type Cidr,
  formatAddress,
  formatCidr,
  inNetwork,
  lastOf,
  networkOf,
  offset,
  parseAddress,
  parseCidr,
  sameAddress,
} from '../../address.ts';
import { badValue, failure, stringAt, wrongType } from '../../config.ts';

/** Addresses to hand out, from start to end, both included. */
export interface Range {
  readonly subnet: Cidr;
  readonly start: Address;
  readonly end: Address;
  readonly gateway: Address;
}

/** Ranges of one family, of which an attachment gets one address. */
export type RangeSet = readonly Range[];

export function rangeContains(range: Range, address: Address): boolean {
  const { family, value } = address;
  return family === range.start.family && value >= range.start.value && value <= range.end.value;
}

export function rangeOf(set: RangeSet, address: Address): Range | undefined {
  return set.find((range) => rangeContains(range, address));
}

function rangeText(range: Range): string {
  return `${formatAddress(range.start)}-${formatAddress(range.end)}`;
}

export function setText(set: RangeSet): string {
  return set.map(rangeText).join(',');
}

function overlap(a: Range, b: Range): boolean {
  return a.start.family === b.start.family && a.start.value <= b.end.value && b.start.value <= a.end.value;
}

/** The range set at `path` of the configuration, e.g. `ipam.ranges[0]`; `index` is the one that messages count. */
export function parseRangeSet(value: Json, path: string, index: number): RangeSet {
  if (!Array.isArray(value)) throw wrongType(path, 'an array of ranges');
  const decoded = value.map((item, at) => decodeRange(item, `${path}[${at}]`));
  try {
    return canonicalSet(decoded);
  } catch (error) {
    throw failure(`invalid range set ${index}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Range sets may not overlap: an address would have two owners. */
export function refuseOverlaps(sets: readonly RangeSet[]): void {
  for (const [first, a] of sets.entries()) {
    for (const [later, b] of sets.slice(first + 1).entries()) {
      if (a.some((range) => b.some((other) => overlap(range, other)))) {
        throw failure(`range set ${first} overlaps with ${first + later + 1}`);
      }
    }
  }
}

interface DecodedRange {
  readonly subnet: Cidr | undefined;
  readonly start: Address | undefined;
  readonly end: Address | undefined;
  readonly gateway: Address | undefined;
}

function decodeRange(value: Json, path: string): DecodedRange {
  if (!isJsonObject(value)) throw wrongType(path, 'an object');
  return {
    subnet: decodeSubnet(value, path),
    start: decodeAddress(value, 'rangeStart', path),
    end: decodeAddress(value, 'rangeEnd', path),
    gateway: decodeAddress(value, 'gateway', path),
  };
}

function decodeSubnet(object: JsonObject, path: string): Cidr | undefined {
  const text = stringAt(object, 'subnet', `${path}.subnet`);
  if (text === undefined) return undefined;
  const subnet = parseCidr(text);
  if (subnet === undefined) throw badValue(`${path}.subnet`, `invalid CIDR address: ${text}`);
  return subnet;
}

function decodeAddress(object: JsonObject, name: string, path: string): Address | undefined {
  const text = stringAt(object, name, `${path}.${name}`) ?? '';
  if (text === '') return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw badValue(`${path}.${name}`, `invalid IP address: ${text}`);
  return address;
}

function canonicalSet(decoded: readonly DecodedRange[]): RangeSet {
  if (decoded.length === 0) throw new Error('empty range set');
  const set = decoded.map(canonicalRange);
  if (set.some((range) => range.start.family !== set[0]?.start.family))
    throw new Error('mixed address families');
  for (const [index, range] of set.entries()) {
    const other = set.slice(index + 1).find((later) => overlap(range, later));
    if (other !== undefined) throw new Error(`subnets ${rangeText(range)} and ${rangeText(other)} overlap`);
  }
  return set;
}

/** Fills in what is left out: the first address, and the last one without IPv4's broadcast address; .1 is the gateway. */
function canonicalRange({ subnet, start, end, gateway }: DecodedRange): Range {
  if (subnet === undefined) throw new Error('IP <nil> not v4 nor v6');
  if (subnet.prefix > bits(subnet.address.family) - 2) {
    throw new Error(`Network ${formatCidr(subnet)} too small to allocate from`);
  }
  const network = networkOf(subnet);
  if (!sameAddress(network, subnet.address)) {
    const wanted = `For a subnet mask of length ${subnet.prefix} the network address is ${formatAddress(network)}`;
    throw new Error(`Network has host bits set. ${wanted}`);
  }
  if (start !== undefined && !(inNetwork(start, subnet) && isAtMost(start, end)))
    throw outside('RangeStart', start, subnet);
  const first = start ?? offset(network, 1n);
  if (end !== undefined && !(inNetwork(end, subnet) && isAtMost(first, end)))
    throw outside('RangeEnd', end, subnet);
  const last = end ?? offset(lastOf(subnet), network.family === 4 ? -1n : 0n);
  return { subnet, start: first, end: last, gateway: gateway ?? offset(network, 1n) };
}

function isAtMost(address: Address, limit: Address | undefined): boolean {
  return limit === undefined || address.value <= limit.value;
}

function outside(name: string, address: Address, subnet: Cidr): Error {
  return new Error(`${name} ${formatAddress(address)} not in network ${formatCidr(subnet)}`);
}
