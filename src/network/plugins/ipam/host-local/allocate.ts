import type { ResultIp } from '../../../cni/types.ts';
import { type Address, formatAddress, formatCidr, offset, sameAddress } from '../../address.ts';
import { failure } from '../../config.ts';
import { type Range, rangeContains, rangeOf, type RangeSet, setText } from './ranges.ts';
import type { Reservations } from './reservations.ts';

/** Who asks, and what may not be given to anyone. */
export interface Claim {
  readonly containerId: string;
  readonly ifName: string;
  /** Addresses in canonical text that are free on disk but still wired to a container that is gone. */
  readonly withheld: ReadonlySet<string>;
  /** Addresses that pods have; undefined when nobody knows them all. */
  readonly living: ReadonlySet<string> | undefined;
}

/** Part of a range, both ends included. */
interface Stretch {
  readonly range: Range;
  readonly from: Address;
  readonly to: Address;
}

/**
 * The order in which addresses are tried: from the one after the last that was handed out to the end of its range, the
 * following ranges around the set, and back to that last one, which comes last. From the start of the set when there is none.
 */
export function stretches(set: RangeSet, last: Address | undefined): Stretch[] {
  const at = last === undefined ? -1 : set.findIndex((range) => rangeContains(range, last));
  const range = set[at];
  const whole = (each: Range): Stretch => ({ range: each, from: each.start, to: each.end });
  if (last === undefined || range === undefined) return set.map(whole);
  const others = [...set.slice(at + 1), ...set.slice(0, at)].map(whole);
  return [
    { range, from: offset(last, 1n), to: range.end },
    ...others,
    { range, from: range.start, to: last },
  ];
}

/** The first address along the stretches that is free, is no gateway and is not withheld. */
export function firstFree(
  along: readonly Stretch[],
  taken: { firstAbsent(from: Address, to: Address): Address | undefined },
  withheld: ReadonlySet<string>,
): { range: Range; address: Address } | undefined {
  for (const { range, from, to } of along) {
    let address = taken.firstAbsent(from, to);
    while (address !== undefined) {
      const isUsable = !sameAddress(address, range.gateway) && !withheld.has(formatAddress(address));
      if (isUsable) return { range, address };
      address = taken.firstAbsent(offset(address, 1n), to);
    }
  }
  return undefined;
}

/** Reserves one address of a set. Throws a CniError with the reference plugin's text. */
export function allocate(
  reservations: Reservations,
  set: RangeSet,
  index: number,
  requested: Address | undefined,
  claim: Claim,
): ResultIp {
  const { range, address } =
    requested === undefined
      ? takeNext(reservations, set, index, claim)
      : takeRequested(reservations, set, index, requested, claim);
  return {
    address: formatCidr({ address, prefix: range.subnet.prefix }),
    gateway: formatAddress(range.gateway),
  };
}

interface Taken {
  readonly range: Range;
  readonly address: Address;
}

function takeNext(reservations: Reservations, set: RangeSet, index: number, claim: Claim): Taken {
  const { containerId, ifName, withheld } = claim;
  const held = reservations
    .of(containerId, ifName)
    .find(({ address }) => address !== undefined && rangeOf(set, address));
  if (held !== undefined) {
    throw failure(`${held.name} has been allocated to ${containerId}, duplicate allocation is not allowed`);
  }
  const along = stretches(set, reservations.lastReserved(index));
  for (;;) {
    const free = firstFree(along, reservations.index.taken, withheld);
    if (free === undefined && reclaim(reservations, set, claim)) continue;
    if (free === undefined) throw failure(`no IP addresses available in range set: ${setText(set)}`);
    if (reservations.reserve(free.address, containerId, ifName, index)) return free;
    reservations.index.taken.add(free.address);
  }
}

/** As a last resort frees addresses that are nobody's, if the runtime tells which ones are somebody's. */
function reclaim(reservations: Reservations, set: RangeSet, { living }: Claim): boolean {
  if (living === undefined) return false;
  const lost = reservations
    .ownerless(living)
    .filter(({ address }) => address !== undefined && rangeOf(set, address) !== undefined);
  for (const reservation of lost) reservations.release(reservation);
  return lost.length > 0;
}

function takeRequested(
  reservations: Reservations,
  set: RangeSet,
  index: number,
  address: Address,
  claim: Claim,
): Taken {
  const text = formatAddress(address);
  const range = rangeOf(set, address);
  if (range === undefined) throw failure(`${text} not in range set ${setText(set)}`);
  if (sameAddress(address, range.gateway)) throw failure(`requested ip ${text} is subnet's gateway`);
  const isFree =
    !claim.withheld.has(text) && reservations.reserve(address, claim.containerId, claim.ifName, index);
  if (!isFree) throw failure(`requested IP address ${text} is not available in range set ${setText(set)}`);
  return { range, address };
}
