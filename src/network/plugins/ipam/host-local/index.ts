/** host-local: addresses out of configured ranges, kept in files on this host. See README.md. */
import { messageOf } from '../../../../lib/errors.ts';
import type { Hints } from '../../../cni/invoke/invoke.ts';
import { CniCode, CniError, type Result, type ResultIp } from '../../../cni/types.ts';
import { CURRENT_VERSION } from '../../../cni/versions/versions.ts';
import { type Address, formatAddress } from '../../address.ts';
import { validAttachments } from '../../attachments.ts';
import { failure, ifValid } from '../../config.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { allocate, type Claim, firstFree, stretches } from './allocate.ts';
import { ipamKeys, networkDirectory, parseConf, unknownKey } from './conf.ts';
import { rangeContains, rangeOf, type RangeSet, setText } from './ranges.ts';
import { describe } from './describe.ts';
import { Directories, ownerText, type Reservations } from './reservations.ts';
import { readResolvConf } from './resolv-conf.ts';

/** The plugin, with a memory of the directories that it has worked on. */
export function createHostLocal(directories: Directories = new Directories()): Plugin {
  return {
    type: 'host-local',
    keys: { ipam: ipamKeys },
    unknownKey,
    add: (args, context) => add(directories, args, context),
    del: (args) => del(directories, args),
    check: (args) => check(directories, args),
    gc: (args, context) => gc(directories, args, context),
    status: (args, context) => status(directories, args, context),
    describe: (config, { holders }) => describe(directories, config, holders),
  };
}

function withheldOf(hints: Hints): Set<string> {
  return new Set(hints.withheld?.addresses);
}

function livingOf({ living }: Hints): Set<string> | undefined {
  return living === undefined ? undefined : new Set(living);
}

function add(directories: Directories, args: PluginArgs, context: PluginContext): Result {
  const conf = parseConf(args);
  const dns = readResolvConf(conf.resolvConf);
  using reservations = directories.open(networkDirectory(args.config), true, context.hints.deadline);
  if (reservations === undefined) throw failure('failed to create the directory of reservations');
  const claim = {
    containerId: args.containerId,
    ifName: args.ifName,
    withheld: withheldOf(context.hints),
    living: livingOf(context.hints),
  };
  const ips = allocateAll(reservations, conf.rangeSets, conf.requested, claim);
  return { cniVersion: CURRENT_VERSION, interfaces: [], ips, routes: [...conf.routes], dns };
}

/** One address of each set; all that were reserved are given back when one cannot be had. */
function allocateAll(
  reservations: Reservations,
  sets: readonly RangeSet[],
  requested: readonly Address[],
  claim: Claim,
): ResultIp[] {
  const wanted = new Map(requested.map((address) => [formatAddress(address), address]));
  const ips: ResultIp[] = [];
  try {
    for (const [index, set] of sets.entries()) {
      const [text, address] =
        [...wanted].find(([, each]) => set.some((range) => rangeContains(range, each))) ?? [];
      if (text !== undefined) wanted.delete(text);
      ips.push(allocateOne(reservations, set, index, address, claim));
    }
    if (wanted.size > 0)
      throw failure(`failed to allocate all requested IPs: ${[...wanted.keys()].join(' ')}`);
    return ips;
  } catch (error) {
    giveBack(reservations, ips);
    throw error;
  }
}

function allocateOne(
  reservations: Reservations,
  set: RangeSet,
  index: number,
  requested: Address | undefined,
  claim: Claim,
): ResultIp {
  try {
    return allocate(reservations, set, index, requested, claim);
  } catch (error) {
    throw failure(`failed to allocate for range ${index}: ${messageOf(error)}`);
  }
}

function giveBack(reservations: Reservations, ips: readonly ResultIp[]): void {
  for (const { address } of ips) {
    const reservation = reservations.index.get(nameOf(address));
    if (reservation !== undefined) reservations.release(reservation);
  }
}

/** The file of an address with prefix length. */
function nameOf(cidr: string): string {
  return cidr.split('/', 1)[0] ?? '';
}

/**
 * Frees what the attachment holds. Nothing there is success. The previous result names addresses too: a file of one of them that a
 * crash emptied or cut off is freed as well.
 */
function del(directories: Directories, args: PluginArgs): void {
  const directory = ifValid(() => networkDirectory(args.config));
  using reservations = directory === undefined ? undefined : directories.open(directory, false);
  if (reservations === undefined) return;
  const { containerId, ifName } = args;
  const own = ownerText(containerId, ifName);
  const torn = (args.prevResult?.ips ?? [])
    .flatMap(({ address }) => reservations.index.get(nameOf(address)) ?? [])
    .filter(({ owner }) => own.startsWith(owner));
  for (const reservation of new Set([...reservations.of(containerId, ifName), ...torn])) {
    reservations.release(reservation);
  }
}

function check(directories: Directories, args: PluginArgs): void {
  parseConf(args);
  using reservations = directories.open(networkDirectory(args.config), false);
  if (reservations === undefined || reservations.of(args.containerId, args.ifName).length === 0) {
    throw failure(`host-local: Failed to find address added by container ${args.containerId}`);
  }
}

/**
 * Frees the reservations of attachments that the runtime does not list, and files that lost their owner to a crash. Files
 * that name only a container, as old releases wrote them, stay while any attachment of that container is listed; so do files that
 * hold the beginning of a listed owner.
 */
function gc(directories: Directories, args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined) return;
  using reservations = directories.open(networkDirectory(args.config), false);
  if (reservations === undefined) return;
  const owners = valid.map(({ containerId, ifName }) => ownerText(containerId, ifName));
  const whole = new Set(owners);
  const isListed = (owner: string): boolean =>
    whole.has(owner) || owners.some((each) => each.startsWith(owner));
  const stale = [...reservations.index.all()].filter(({ owner }) => owner !== '' && !isListed(owner));
  for (const reservation of [...stale, ...reservations.ownerless(livingOf(context.hints) ?? new Set())]) {
    if (reservation.address === undefined) continue;
    const [containerId = '', ifName = ''] = reservation.owner.split('\r\n');
    const what = `address ${reservation.name}`;
    context.collect([{ what, containerId, ifName }], () => reservations.release(reservation));
  }
}

/**
 * NotAvailable (50) when a set has no address left, since an ADD needs one of each. One that nobody has counts as left: pods have to come
 * for it to be freed.
 */
function status(directories: Directories, args: PluginArgs, context: PluginContext): void {
  const conf = parseConf(args);
  using reservations = directories.open(networkDirectory(args.config), false);
  if (reservations === undefined) return;
  const withheld = withheldOf(context.hints);
  for (const [index, set] of conf.rangeSets.entries()) {
    if (firstFree(stretches(set, undefined), reservations.index.taken, withheld) !== undefined) continue;
    const lost = reservations.ownerless(new Set());
    if (!lost.some(({ address }) => address !== undefined && rangeOf(set, address) !== undefined)) {
      const message = `no IP addresses available in range set ${index}: ${setText(set)}`;
      throw new CniError(CniCode.NotAvailable, message);
    }
  }
}
