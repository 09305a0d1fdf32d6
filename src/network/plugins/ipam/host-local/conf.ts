import type { Json, JsonObject } from '../../../../lib/json.ts';
import type { ResultRoute } from '../../../cni/types.ts';
import { toResult } from '../../../cni/versions/convert.ts';
import { CURRENT_VERSION, isAtLeast } from '../../../cni/versions/versions.ts';
import { type Address, parseAddress, parseCidr } from '../../address.ts';
import { cniArgs } from '../../cni-args.ts';
import {
  arrayAt,
  badValue,
  failure,
  firstUnknownKey,
  type KnownKeys,
  key,
  objectAt,
  stringAt,
  stringsAt,
} from '../../config.ts';
import type { PluginArgs } from '../../plugin.ts';
import { parseRangeSet, type RangeSet, refuseOverlaps } from './ranges.ts';

/** The ipam object, with all that capability arguments and CNI_ARGS add to it. */
export interface HostLocalConf {
  readonly rangeSets: readonly RangeSet[];
  /** Addresses asked for, in order. */
  readonly requested: readonly Address[];
  readonly routes: readonly ResultRoute[];
  /** A file in the form of resolv.conf that the result's dns is read from; '' for none. */
  readonly resolvConf: string;
}

const DEFAULT_DATA_DIR = '/var/lib/cni/networks';

const rangeKeys: KnownKeys = { subnet: true, rangeStart: true, rangeEnd: true, gateway: true };
export const ipamKeys: KnownKeys = {
  type: true,
  ...rangeKeys,
  ranges: rangeKeys,
  routes: true,
  dataDir: true,
  resolvConf: true,
};

/** Only the ipam object is ours: the rest of the configuration belongs to the plugin that delegates. */
export function unknownKey(config: JsonObject): string | undefined {
  return firstUnknownKey(key(config, 'ipam') ?? null, ipamKeys, 'ipam');
}

/** The directory of the network's reservations. All that DEL needs, so that nothing else in the configuration can fail it. */
export function networkDirectory(config: JsonObject): string {
  const name = stringAt(config, 'name') ?? '';
  return `${stringAt(ipamOf(config), 'dataDir', 'ipam.dataDir') || DEFAULT_DATA_DIR}/${name}`;
}

/** Throws a CniError with the reference plugin's text. */
export function parseConf({ config, args }: Pick<PluginArgs, 'config' | 'args'>): HostLocalConf {
  const ipam = ipamOf(config);
  const runtime = objectAt(config, 'runtimeConfig') ?? {};
  const requested = requestedAddresses(config, runtime, args);
  const rangeSets = [
    ...(arrayAt(runtime, 'ipRanges', 'runtimeConfig.ipRanges') ?? []),
    ...(key(ipam, 'subnet') === undefined ? [] : [[ipam]]),
    ...(arrayAt(ipam, 'ranges', 'ipam.ranges') ?? []),
  ].map((set: Json, index) => parseRangeSet(set, `range set ${index}`, index));
  if (rangeSets.length === 0) throw failure('no IP ranges specified');
  refuseManyPerFamily(rangeSets, stringAt(config, 'cniVersion') ?? '');
  refuseOverlaps(rangeSets);
  return {
    rangeSets,
    requested,
    routes: toResult({ routes: key(ipam, 'routes') ?? [] }, CURRENT_VERSION).routes,
    resolvConf: stringAt(ipam, 'resolvConf', 'ipam.resolvConf') ?? '',
  };
}

function ipamOf(config: JsonObject): JsonObject {
  const ipam = objectAt(config, 'ipam');
  if (ipam === undefined) throw failure("IPAM config missing 'ipam' key");
  return ipam;
}

function requestedAddresses(config: JsonObject, runtime: JsonObject, args: string): Address[] {
  const cni = objectAt(objectAt(config, 'args') ?? {}, 'cni', 'args.cni') ?? {};
  const ip = cniArgs(args, ['IP'])['IP'] ?? '';
  return [
    ...(ip === '' ? [] : [requestedAddress(ip, 'CNI_ARGS IP')]),
    ...(stringsAt(cni, 'ips', 'args.cni.ips') ?? []).map((text) => requestedAddress(text, 'args.cni.ips')),
    ...(stringsAt(runtime, 'ips', 'runtimeConfig.ips') ?? []).map((text) =>
      requestedAddress(text, 'runtimeConfig.ips'),
    ),
  ];
}

/** An address, with or without a prefix length. */
function requestedAddress(text: string, path: string): Address {
  const address = text.includes('/') ? parseCidr(text)?.address : parseAddress(text);
  if (address === undefined) throw badValue(path, `invalid IP address ${text}`);
  return address;
}

function refuseManyPerFamily(sets: readonly RangeSet[], cniVersion: string): void {
  if (isAtLeast(cniVersion, '0.3.0')) return;
  const families = sets.map((set) => set[0]?.subnet.address.family);
  if (new Set(families).size === families.length) return;
  throw failure(`CNI version ${cniVersion} does not support more than 1 address per family`);
}
