import { isJsonObject, type Json, type JsonObject } from '../../../../lib/json.ts';
import type { Result } from '../../../cni/types.ts';
import { type Address, type Cidr, formatAddress, parseAddress, parseCidr } from '../../address.ts';
import {
  arrayAt,
  badValue,
  booleanAt,
  failure,
  firstUnknownKey,
  integerAt,
  type KnownKeys,
  objectAt,
  protocolKeys,
  stringAt,
  stringsAt,
  wrongType,
} from '../../config.ts';

export type Backend = 'iptables' | 'nftables';

/** One port of the host that leads to one of the container. */
export interface Mapping {
  readonly protocol: string;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Undefined when any address of the host will do. */
  readonly hostIp: Address | undefined;
  /** The family that the mapping is confined to by its host address, be it an unspecified one. */
  readonly family: 4 | 6 | undefined;
}

export interface PortmapConf {
  readonly network: string;
  /** Undefined: what can be used here. */
  readonly backend: Backend | undefined;
  readonly snat: boolean;
  readonly masqAll: boolean;
  readonly conditions: { readonly 4: readonly string[]; readonly 6: readonly string[] };
  readonly markMasqBit: number;
  readonly externalSetMarkChain: string | undefined;
  readonly mappings: readonly Mapping[];
}

const DEFAULT_MARK_BIT = 13;

export const keys: KnownKeys = {
  ...protocolKeys,
  backend: true,
  snat: true,
  conditionsV4: true,
  conditionsV6: true,
  masqAll: true,
  markMasqBit: true,
  externalSetMarkChain: true,
  runtimeConfig: true,
};

export function unknownKey(config: JsonObject): string | undefined {
  return firstUnknownKey(config, keys);
}

/** Throws a CniError with the reference plugin's text. */
export function parseConf(config: JsonObject): PortmapConf {
  const markMasqBit = integerAt(config, 'markMasqBit');
  const externalSetMarkChain = stringAt(config, 'externalSetMarkChain');
  if (markMasqBit !== undefined && externalSetMarkChain !== undefined) {
    throw failure('Cannot specify externalSetMarkChain and markMasqBit');
  }
  if (markMasqBit !== undefined && (markMasqBit < 0 || markMasqBit > 31)) {
    throw failure('MasqMarkBit must be between 0 and 31');
  }
  const conf: PortmapConf = {
    network: stringAt(config, 'name') ?? '',
    backend: parseBackend(stringAt(config, 'backend')),
    snat: booleanAt(config, 'snat') ?? true,
    masqAll: booleanAt(config, 'masqAll') ?? false,
    conditions: { 4: conditionsAt(config, 'conditionsV4'), 6: conditionsAt(config, 'conditionsV6') },
    markMasqBit: markMasqBit ?? DEFAULT_MARK_BIT,
    externalSetMarkChain,
    mappings: parseMappings(config),
  };
  if (conf.backend !== undefined) refuseOptionsOfOther(conf, conf.backend);
  return conf;
}

function parseBackend(name: string | undefined): Backend | undefined {
  if (name === undefined || name === 'iptables' || name === 'nftables') return name;
  throw failure(`unrecognized backend "${name}"`);
}

/** Conditions become part of a rule as they are; what would end the rule may not be in them. */
function conditionsAt(config: JsonObject, name: string): string[] {
  const conditions = stringsAt(config, name) ?? [];
  if (conditions.some((condition) => /[\n\r;]/.test(condition)))
    throw badValue(name, 'line break or semicolon');
  return conditions;
}

/** The mappings alone: a DEL needs nothing else. */
export function parseMappings(config: JsonObject): Mapping[] {
  const runtime = objectAt(config, 'runtimeConfig') ?? {};
  const path = 'runtimeConfig.portMappings';
  return (arrayAt(runtime, 'portMappings', path) ?? []).map((item, index) =>
    parseMapping(item, `${path}[${index}]`),
  );
}

const MAX_PORT = 65_535;

function parseMapping(item: Json, path: string): Mapping {
  if (!isJsonObject(item)) throw wrongType(path, 'an object');
  const containerPort = integerAt(item, 'containerPort', `${path}.containerPort`) ?? 0;
  const hostPort = integerAt(item, 'hostPort', `${path}.hostPort`) ?? 0;
  if (containerPort <= 0 || containerPort > MAX_PORT)
    throw failure(`Invalid container port number: ${containerPort}`);
  if (hostPort <= 0 || hostPort > MAX_PORT) throw failure(`Invalid host port number: ${hostPort}`);
  const protocol = (stringAt(item, 'protocol', `${path}.protocol`) ?? '').toLowerCase() || 'tcp';
  if (!['tcp', 'udp', 'sctp', 'dccp', 'udplite'].includes(protocol)) {
    throw badValue(`${path}.protocol`, `unknown protocol "${protocol}"`);
  }
  const hostIp = parseHostIp(stringAt(item, 'hostIP', `${path}.hostIP`) ?? '', path);
  const isAny = hostIp === undefined || hostIp.value === 0n;
  return { protocol, hostPort, containerPort, hostIp: isAny ? undefined : hostIp, family: hostIp?.family };
}

function parseHostIp(text: string, path: string): Address | undefined {
  if (text === '') return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw badValue(`${path}.hostIP`, `invalid IP address: ${text}`);
  return address;
}

/**
 * The backend to use. `detect` is asked only when none is configured. Throws when options are given that only the other
 * backend understands; for a configured one parseConf does.
 */
export function chooseBackend(conf: PortmapConf, detect: () => Backend): Backend {
  if (conf.backend !== undefined) return conf.backend;
  const backend = detect();
  refuseOptionsOfOther(conf, backend);
  return backend;
}

function refuseOptionsOfOther(conf: PortmapConf, backend: Backend): void {
  const wrong = [
    ...(conf.externalSetMarkChain !== undefined && backend === 'nftables' ? ['externalSetMarkChain'] : []),
    ...(isOfOther(conf.conditions[4], backend) ? ['conditionsV4'] : []),
    ...(isOfOther(conf.conditions[6], backend) ? ['conditionsV6'] : []),
  ];
  if (wrong.length === 0) return;
  const other = backend === 'iptables' ? 'nftables' : 'iptables';
  throw failure(
    `${backend} backend was requested but configuration contains ${other}-specific options [${wrong.join(' ')}]`,
  );
}

/** Conditions of iptables begin with a hyphen or an exclamation mark, those of nftables never do. */
function isOfOther([first = '']: readonly string[], backend: Backend): boolean {
  return first !== '' && /^[-!]/.test(first) !== (backend === 'iptables');
}

/** The container's address of each family: the first that is on this interface in a sandbox, or on no named interface. */
export function containerAddresses(result: Result, ifName: string): Cidr[] {
  const usable = result.ips
    .filter((ip) => {
      const link = ip.interface === undefined ? undefined : result.interfaces[ip.interface];
      return link === undefined || (link.name === ifName && (link.sandbox ?? '') !== '');
    })
    .flatMap(({ address }) => parseCidr(address) ?? []);
  return ([4, 6] as const).flatMap((family) => usable.find(({ address }) => address.family === family) ?? []);
}

/** The mappings that lead to an address of this family. */
export function mappingsOf(conf: PortmapConf, family: 4 | 6): Mapping[] {
  return conf.mappings.filter((mapping) => mapping.family === undefined || mapping.family === family);
}

/** `10.88.0.5:80`, `[fd00::5]:80`. */
export function endpoint(address: Address, port: number): string {
  const text = formatAddress(address);
  return address.family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}
