import { isJsonObject, type JsonObject } from '../../../../lib/json.ts';
import {
  arrayAt,
  badValue,
  booleanAt,
  failure,
  firstUnknownKey,
  integerAt,
  key,
  type KnownKeys,
  objectAt,
  stringAt,
  wrongType,
} from '../../config.ts';
import type { PluginArgs } from '../../plugin.ts';
import { Option } from './message.ts';

/** Where a daemon serves callers of other processes. */
export const DEFAULT_SOCKET = '/run/berth/dhcp.sock';

export const ipamKeys: KnownKeys = {
  type: true,
  daemonSocketPath: true,
  request: { skipDefault: true, option: true },
  provide: { option: true, value: true, fromArg: true },
  priority: true,
};

/** Only the ipam object is ours: the rest of the configuration belongs to the plugin that delegates. */
export function unknownKey(config: JsonObject): string | undefined {
  return firstUnknownKey(key(config, 'ipam') ?? null, ipamKeys, 'ipam');
}

/** The socket of the daemon that a caller of another process hands its lease to. */
export function socketPath(config: JsonObject): string {
  return stringAt(ipamOf(config), 'daemonSocketPath', 'ipam.daemonSocketPath') || DEFAULT_SOCKET;
}

/** The metric that the routes are to have; 0 for that of the kernel. */
export function routePriority(config: JsonObject): number {
  const priority = integerAt(ipamOf(config), 'priority', 'ipam.priority') ?? 0;
  if (priority < 0 || priority > 0xffff_ffff) throw badValue('ipam.priority', `${priority} is no metric`);
  return priority;
}

function ipamOf(config: JsonObject): JsonObject {
  return objectAt(config, 'ipam') ?? {};
}

type Call = Pick<PluginArgs, 'config' | 'args' | 'containerId' | 'ifName'>;

/** Who the client is, in words: container, network and interface. */
export function clientName({ config, containerId, ifName }: Call): string {
  return `${containerId}/${stringAt(config, 'name') ?? ''}/${ifName}`;
}

/** The longest that fits in an option beside its type. */
const IDENTIFIER_BYTES = 254;

/**
 * What the client says in each of its messages: its identifier (RFC 2132, 9.14, of type 0 as the reference plugin has it), the
 * options that the configuration provides, and those that it requests. Throws a CniError with the reference plugin's text.
 */
export function clientOptions(call: Call): Map<number, Buffer> {
  const name = Buffer.from(clientName(call)).subarray(0, IDENTIFIER_BYTES);
  const identifier = Buffer.concat([Buffer.of(0), name]);
  const options = new Map<number, Buffer>([[Option.clientIdentifier, identifier]]);
  const ipam = ipamOf(call.config);
  for (const [code, value] of provided(ipam, call.args)) options.set(code, value);
  const requested = requestedCodes(ipam);
  if (requested.length > 0) options.set(Option.parameterRequestList, Buffer.from(requested));
  return options;
}

function objectsAt(ipam: JsonObject, name: string): [path: string, item: JsonObject][] {
  return (arrayAt(ipam, name, `ipam.${name}`) ?? []).map((item, index) => {
    const path = `ipam.${name}[${index}]`;
    if (!isJsonObject(item)) throw wrongType(path, 'an object');
    return [path, item];
  });
}

const VALUE_BYTES = 255;
/** All provided values together: a message has to fit in one frame. */
const PROVIDED_BYTES = 900;
/** What the exchange itself says in each message. */
const OWN: readonly number[] = [
  Option.pad,
  Option.requestedAddress,
  Option.overload,
  Option.messageType,
  Option.serverIdentifier,
  Option.parameterRequestList,
  Option.end,
];

function provided(ipam: JsonObject, args: string): [number, Buffer][] {
  const byName = namedArgs(args);
  const values = objectsAt(ipam, 'provide').flatMap(([path, item]): [number, Buffer][] => {
    const option = stringAt(item, 'option', `${path}.option`) ?? '';
    const code = codeOf(option);
    if (OWN.includes(code)) throw badValue(`${path}.option`, `${code} is the exchange's own`);
    const fromArg = stringAt(item, 'fromArg', `${path}.fromArg`) ?? '';
    const value = stringAt(item, 'value', `${path}.value`) ?? '';
    const text = byName.get(fromArg) ?? value;
    if (text === '') return [];
    const bytes = Buffer.from(text);
    if (bytes.length > VALUE_BYTES) throw failure(`value too long for option "${option}": "${text}"`);
    return [[code, bytes]];
  });
  const total = values.reduce((sum, [, { length }]) => sum + length, 0);
  if (total > PROVIDED_BYTES) throw badValue('ipam.provide', `${total} bytes do not fit in a message`);
  return values;
}

/** CNI_ARGS, of which a value may have an equals sign here. */
function namedArgs(args: string): Map<string, string> {
  const pairs = args.split(';').filter((pair) => pair.indexOf('=') > 0);
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

const DEFAULTS: readonly number[] = [Option.routers, Option.subnetMask];

function requestedCodes(ipam: JsonObject): number[] {
  const requests = objectsAt(ipam, 'request');
  const skips = requests.map(([path, item]) => booleanAt(item, 'skipDefault', `${path}.skipDefault`));
  const asked = requests.flatMap(([path, item]) => {
    const option = stringAt(item, 'option', `${path}.option`) ?? '';
    return option === '' ? [] : [codeOf(option)];
  });
  return [...new Set([...asked, ...(skips.includes(true) ? [] : DEFAULTS)])];
}

/** The names that the reference plugin knows. */
const NAMES: Readonly<Record<string, number>> = {
  'dhcp-client-identifier': Option.clientIdentifier,
  'subnet-mask': Option.subnetMask,
  routers: Option.routers,
  'host-name': Option.hostName,
  'user-class': Option.userClass,
  'vendor-class-identifier': Option.vendorClass,
};

function codeOf(option: string): number {
  const code = Object.hasOwn(NAMES, option) ? NAMES[option] : undefined;
  if (code !== undefined) return code;
  if (/^\d{1,3}$/.test(option) && Number(option) <= Option.end) return Number(option);
  throw failure(`Can not parse option "${option}": neither a known name nor a number up to 255`);
}
