import type { JsonObject } from '../../../../lib/json.ts';
import { formatAddress, formatCidr, parseAddress } from '../../address.ts';
import {
  FOREIGN_MOST,
  type ForeignReservation,
  type Holders,
  type PluginFacts,
  type PoolFacts,
} from '../../facts.ts';
import { networkDirectory, parseConf } from './conf.ts';
import type { Reservation } from './file-index.ts';
import { type Range, rangeContains } from './ranges.ts';
import type { Directories } from './reservations.ts';

/** How many names a problem lists. */
const NAMED_MOST = 5;

/** How each range is used, and files in the directory that are of no range. */
export function describe(directories: Directories, config: JsonObject, holders: Holders): PluginFacts {
  const { rangeSets } = parseConf({ config, args: '' });
  const directory = networkDirectory(config);
  using reservations = directories.open(directory, false);
  const all = reservations === undefined ? [] : [...reservations.index.all()];
  const ranges = rangeSets.flatMap((set, index) => set.map((range) => ({ index, range })));
  return {
    pools: ranges.map(({ index, range }) => poolOf(index, range, all, holders)),
    problems: strays(
      directory,
      ranges.map(({ range }) => range),
      all,
    ),
  };
}

function poolOf(set: number, range: Range, all: readonly Reservation[], holders: Holders): PoolFacts {
  const reserved = all
    .filter(({ address }) => address !== undefined && rangeContains(range, address))
    .filter(({ name }) => name !== formatAddress(range.gateway))
    .toSorted((a, b) => ((a.address?.value ?? 0n) < (b.address?.value ?? 0n) ? -1 : 1));
  const kinds = { pod: 0, debt: 0, foreign: 0 };
  const foreignReservations: ForeignReservation[] = [];
  for (const reservation of reserved) {
    const { containerId, ifName } = ownerOf(reservation);
    const kind = holders.kindOf(containerId, ifName);
    kinds[kind] += 1;
    if (kind !== 'foreign' || foreignReservations.length >= FOREIGN_MOST) continue;
    foreignReservations.push({ address: reservation.name, containerId, ifName });
  }
  const size = range.end.value - range.start.value + 1n - (rangeContains(range, range.gateway) ? 1n : 0n);
  const withheld = withheldIn(range, reserved, holders);
  return {
    set,
    subnet: formatCidr(range.subnet),
    from: formatAddress(range.start),
    to: formatAddress(range.end),
    gateway: formatAddress(range.gateway),
    of: Number(size),
    used: reserved.length,
    pods: kinds.pod,
    debts: kinds.debt + withheld,
    foreign: kinds.foreign,
    free: Number(size - BigInt(reserved.length + withheld)),
    foreignReservations,
  };
}

/** Addresses that are free on disk and that a debt keeps from being handed out. */
function withheldIn(range: Range, reserved: readonly Reservation[], { withheld }: Holders): number {
  const onDisk = new Set(reserved.map(({ name }) => name));
  return [...withheld].filter((text) => {
    const address = parseAddress(text);
    return address !== undefined && rangeContains(range, address) && !onDisk.has(formatAddress(address));
  }).length;
}

function ownerOf({ owner }: Reservation): { containerId: string; ifName: string } {
  const [containerId = '', ifName = ''] = owner.split('\r\n');
  return { containerId, ifName };
}

/** A range that was changed leaves its reservations behind; they hold nothing any more. */
function strays(directory: string, ranges: readonly Range[], all: readonly Reservation[]): string[] {
  const stray = all.filter(
    ({ address }) => address === undefined || !ranges.some((range) => rangeContains(range, address)),
  );
  if (stray.length === 0) return [];
  const named = stray.slice(0, NAMED_MOST).map(({ name }) => name);
  const more = stray.length > NAMED_MOST ? ` and ${stray.length - NAMED_MOST} more` : '';
  const what = stray.length === 1 ? 'a file' : `${stray.length} files`;
  return [`${what} in ${directory} of no range: ${named.join(', ')}${more}`];
}
