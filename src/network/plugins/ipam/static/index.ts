/** static: addresses as the configuration names them. See README.md. */
import type { JsonObject } from '../../../../lib/json.ts';
import { isJsonObject } from '../../../../lib/json.ts';
import type { Result, ResultDns, ResultIp, ResultRoute } from '../../../cni/types.ts';
import { toResult } from '../../../cni/versions/convert.ts';
import { CURRENT_VERSION, isAtLeast } from '../../../cni/versions/versions.ts';
import {
  type Address,
  type Cidr,
  formatAddress,
  formatCidr,
  inNetwork,
  parseAddress,
  parseCidr,
  sameAddress,
} from '../../address.ts';
import { cniArgs } from '../../cni-args.ts';
import {
  arrayAt,
  failure,
  firstUnknownKey,
  key,
  objectAt,
  stringAt,
  stringsAt,
  wrongType,
} from '../../config.ts';
import { requirePrevious } from '../../container-link.ts';
import { argsOfConfig, ownDns } from '../../main-conf.ts';
import type { Plugin, PluginArgs } from '../../plugin.ts';

const ipamKeys = {
  type: true,
  addresses: { address: true, gateway: true },
  routes: true,
  dns: true,
} as const;

export const staticIpam: Plugin = {
  type: 'static',
  keys: { ipam: ipamKeys },
  unknownKey: (config) => firstUnknownKey(key(config, 'ipam') ?? null, ipamKeys, 'ipam'),
  add,
  // Nothing is kept, so nothing is to be given back.
  del: () => undefined,
  check,
  status: (args) => void parseConf(args),
};

interface StaticAddress {
  readonly cidr: Cidr;
  readonly gateway: Address | undefined;
}

interface StaticConf {
  readonly addresses: readonly StaticAddress[];
  readonly routes: readonly ResultRoute[];
  readonly dns: ResultDns;
}

function add(args: PluginArgs): Result {
  const { addresses, routes, dns } = parseConf(args);
  const ips = addresses.map(
    ({ cidr, gateway }): ResultIp => ({
      address: formatCidr(cidr),
      ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    }),
  );
  return { cniVersion: CURRENT_VERSION, interfaces: [], ips, routes: [...routes], dns };
}

/** Throws a CniError with the reference plugin's text. */
export function parseConf({ config, args }: Pick<PluginArgs, 'config' | 'args'>): StaticConf {
  const ipam = objectAt(config, 'ipam');
  if (ipam === undefined) throw failure("IPAM config missing 'ipam' key");
  const addresses = wanted(config, ipam, args);
  refuseManyPerFamily(addresses, stringAt(config, 'cniVersion') ?? '');
  return {
    addresses,
    routes: toResult({ routes: key(ipam, 'routes') ?? [] }, CURRENT_VERSION).routes,
    dns: ownDns(ipam) ?? {},
  };
}

/** What runtimeConfig asks for takes the place of what args.cni asks for, and that of all else. */
function wanted(config: JsonObject, ipam: JsonObject, args: string): StaticAddress[] {
  const runtime = objectAt(config, 'runtimeConfig') ?? {};
  for (const asked of [
    stringsAt(runtime, 'ips', 'runtimeConfig.ips'),
    stringsAt(argsOfConfig(config), 'ips', 'args.cni.ips'),
  ]) {
    if (asked !== undefined && asked.length > 0) return asked.map(askedFor);
  }
  return withArgs(configured(ipam), args);
}

function askedFor(text: string): StaticAddress {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    throw failure(`an entry in the 'ips' field is NOT in CIDR notation, got: '${text}'`);
  }
  return { cidr, gateway: undefined };
}

function configured(ipam: JsonObject): StaticAddress[] {
  return (arrayAt(ipam, 'addresses', 'ipam.addresses') ?? []).map((item, index) => {
    const path = `ipam.addresses[${index}]`;
    if (!isJsonObject(item)) throw wrongType(path, 'an object');
    const text = stringAt(item, 'address', `${path}.address`) ?? '';
    const cidr = parseCidr(text);
    if (cidr === undefined) {
      throw failure(`the 'address' field is expected to be in CIDR notation, got: '${text}'`);
    }
    return { cidr, gateway: gatewayOf(stringAt(item, 'gateway', `${path}.gateway`) ?? '') };
  });
}

function gatewayOf(text: string): Address | undefined {
  if (text === '') return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw failure(`invalid gateway address: ${text}`);
  return address;
}

/** IP and GATEWAY of CNI_ARGS: more addresses, and gateways for those of them whose network they lie in. */
function withArgs(addresses: readonly StaticAddress[], args: string): StaticAddress[] {
  const { IP = '', GATEWAY = '' } = cniArgs(args, ['IP', 'GATEWAY']);
  const more = listOf(IP).map((text): Cidr => {
    const cidr = parseCidr(text);
    if (cidr === undefined) {
      throw failure(`the 'ip' field is expected to be in CIDR notation, got: '${text}'`);
    }
    return cidr;
  });
  const gateways = listOf(GATEWAY).flatMap((text) => gatewayOf(text) ?? []);
  return [
    ...addresses,
    ...more.map((cidr) => ({ cidr, gateway: gateways.findLast((each) => inNetwork(each, cidr)) })),
  ];
}

function listOf(text: string): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.trim());
}

function refuseManyPerFamily(addresses: readonly StaticAddress[], cniVersion: string): void {
  if (isAtLeast(cniVersion, '0.3.0')) return;
  const families = addresses.map(({ cidr }) => cidr.address.family);
  if (new Set(families).size === families.length) return;
  throw failure(`CNI version ${cniVersion} does not support more than 1 address per family`);
}

/** Each configured address that the result has must have the configured gateway. */
function check(args: PluginArgs): void {
  const { ips } = requirePrevious(args);
  for (const { cidr, gateway } of parseConf(args).addresses) {
    const found = ips.find(({ address }) => isSame(parseCidr(address)?.address, cidr.address));
    if (found === undefined || gateway === undefined) continue;
    if (isSame(parseAddress(found.gateway ?? ''), gateway)) continue;
    throw failure(`static: Failed to match addr ${formatAddress(cidr.address)} on interface ${args.ifName}`);
  }
}

function isSame(one: Address | undefined, other: Address): boolean {
  return one !== undefined && sameAddress(one, other);
}
