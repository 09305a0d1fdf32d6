/**
 * Results of every version of the specification, in and out of the 1.1.0 form that Berth uses inside.
 *
 *   0.1.0, 0.2.0         ip4 and ip6 objects with their own routes
 *   0.3.0, 0.3.1, 0.4.0  interfaces, ips with a version, routes
 *   1.0.0, 1.1.0         ips without version; interfaces and routes with more fields
 */
import { isJsonObject, type Json, type JsonObject } from '../../../lib/json.ts';
import { field, typeName } from '../fields.ts';
import {
  CniCode,
  CniError,
  type Result,
  type ResultDns,
  type ResultInterface,
  type ResultIp,
  type ResultRoute,
} from '../types.ts';
import { canonicalCidr, canonicalIp, familyOf } from './addresses.ts';
import { CURRENT_VERSION, isAtLeast, isSupported, VERSION_WHEN_EMPTY } from './versions.ts';

/**
 * Parses a result of any supported version. `cniVersion` is the configuration's and counts when the result names
 * none. Addresses come out in canonical text. Throws a CniError: code 6 naming the bad field, code 1 for a
 * version that we do not speak.
 */
export function toResult(value: unknown, cniVersion: string): Result {
  if (!isJsonObject(value)) throw malformed('result', `expected an object, got ${typeName(value)}`);
  const version = text(value, 'cniVersion', 'result') || cniVersion || VERSION_WHEN_EMPTY;
  if (!isSupported(version)) throw unsupported(version);
  const result = isAtLeast(version, '0.3.0') ? parseModern(value) : parseLegacy(value);
  return { cniVersion: CURRENT_VERSION, ...result, dns: parseDns(field(value, 'dns')) };
}

/**
 * Writes a result in the form of a version, as the reference libraries do: empty lists are left out, what an old
 * form cannot hold is dropped. Throws a CniError, code 1 for a version that we do not speak, code 999 when a 0.1.0 or 0.2.0
 * form would have no address.
 */
export function fromResult(result: Result, cniVersion: string): JsonObject {
  const version = cniVersion || VERSION_WHEN_EMPTY;
  if (!isSupported(version)) throw unsupported(version);
  if (!isAtLeast(version, '0.3.0')) return writeLegacy(result, version);
  return isAtLeast(version, '1.0.0') ? writeCurrent(result, version) : writeWithIpVersions(result, version);
}

type Networking = Pick<Result, 'interfaces' | 'ips' | 'routes'>;

function parseModern(value: JsonObject): Networking {
  const interfaces = objects(value, 'interfaces').map(([item, at]) => parseInterface(item, at));
  const ips = objects(value, 'ips').map(([item, at]) => parseIp(item, at, interfaces.length));
  const routes = objects(value, 'routes').map(([item, at]) => parseRoute(item, at));
  return { interfaces, ips, routes };
}

function parseLegacy(value: JsonObject): Networking {
  const ips: ResultIp[] = [];
  const routes: ResultRoute[] = [];
  for (const family of ['ip4', 'ip6']) {
    const part = field(value, family);
    if (part === undefined) continue;
    if (!isJsonObject(part)) throw malformed(family, `expected an object, got ${typeName(part)}`);
    ips.push(compact<ResultIp>({ address: cidr(part, 'ip', family), gateway: ip(part, 'gateway', family) }));
    routes.push(...objects(part, 'routes', family).map(([item, at]) => parseRoute(item, at)));
  }
  return { interfaces: [], ips, routes };
}

function parseInterface(item: JsonObject, at: string): ResultInterface {
  return compact<ResultInterface>({
    name: text(item, 'name', at),
    mac: text(item, 'mac', at) || undefined,
    mtu: integer(item, 'mtu', at) || undefined,
    sandbox: text(item, 'sandbox', at) || undefined,
    socketPath: text(item, 'socketPath', at) || undefined,
    pciID: text(item, 'pciID', at) || undefined,
  });
}

function parseIp(item: JsonObject, at: string, interfaces: number): ResultIp {
  const index = integer(item, 'interface', at);
  if (index !== undefined && (index < 0 || index >= interfaces)) {
    throw malformed(
      `${at}.interface`,
      `index ${index} is out of range, the result has ${interfaces} interfaces`,
    );
  }
  return compact<ResultIp>({
    interface: index,
    address: cidr(item, 'address', at),
    gateway: ip(item, 'gateway', at),
  });
}

function parseRoute(item: JsonObject, at: string): ResultRoute {
  return compact<ResultRoute>({
    dst: cidr(item, 'dst', at),
    gw: ip(item, 'gw', at),
    mtu: integer(item, 'mtu', at) || undefined,
    advmss: integer(item, 'advmss', at) || undefined,
    priority: integer(item, 'priority', at) || undefined,
    table: integer(item, 'table', at),
    scope: integer(item, 'scope', at),
  });
}

function parseDns(value: unknown): ResultDns {
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw malformed('dns', `expected an object, got ${typeName(value)}`);
  return compact<ResultDns>({
    nameservers: texts(value, 'nameservers', 'dns'),
    domain: text(value, 'domain', 'dns') || undefined,
    search: texts(value, 'search', 'dns'),
    options: texts(value, 'options', 'dns'),
  });
}

function writeCurrent(result: Result, version: string): JsonObject {
  const isEmptyDns = Object.keys(result.dns).length === 0;
  return {
    cniVersion: version,
    ...nonEmpty('interfaces', result.interfaces.map(toJson)),
    ...nonEmpty('ips', result.ips.map(toJson)),
    ...nonEmpty('routes', result.routes.map(toJson)),
    ...(isEmptyDns ? {} : { dns: toJson(result.dns) }),
  };
}

function writeWithIpVersions(result: Result, version: string): JsonObject {
  const interfaces = result.interfaces.map(({ name, mac, sandbox }) => toJson({ name, mac, sandbox }));
  const ips = result.ips.map((entry) => ({ version: String(familyOf(entry.address)), ...toJson(entry) }));
  return {
    cniVersion: version,
    ...nonEmpty('interfaces', interfaces),
    ...nonEmpty('ips', ips),
    ...nonEmpty('routes', result.routes.map(toJson)),
    dns: toJson(result.dns),
  };
}

function writeLegacy(result: Result, version: string): JsonObject {
  const part = (family: 4 | 6): JsonObject | undefined => {
    const first = result.ips.find((entry) => familyOf(entry.address) === family);
    if (first === undefined) return undefined;
    const routes = result.routes
      .filter((route) => familyOf(route.dst) === family)
      .map(({ dst, gw }) => toJson({ dst, gw }));
    return { ...toJson({ ip: first.address, gateway: first.gateway }), ...nonEmpty('routes', routes) };
  };
  const ip4 = part(4);
  const ip6 = part(6);
  if (ip4 === undefined && ip6 === undefined) {
    throw new CniError(CniCode.Internal, 'cannot convert: no valid IP addresses');
  }
  return {
    cniVersion: version,
    ...(ip4 === undefined ? {} : { ip4 }),
    ...(ip6 === undefined ? {} : { ip6 }),
    dns: toJson(result.dns),
  };
}

function text(object: JsonObject, key: string, at: string): string {
  const value = field(object, key) ?? '';
  if (typeof value !== 'string') throw malformed(`${at}.${key}`, `expected a string, got ${typeName(value)}`);
  return value;
}

function integer(object: JsonObject, key: string, at: string): number | undefined {
  const value = field(object, key);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw malformed(
      `${at}.${key}`,
      `expected an integer, got ${typeof value === 'number' ? value : typeName(value)}`,
    );
  }
  return value;
}

function texts(object: JsonObject, key: string, at: string): string[] | undefined {
  const value = field(object, key);
  if (value === undefined) return undefined;
  const isTexts = Array.isArray(value) && value.every((item): item is string => typeof item === 'string');
  if (!isTexts) throw malformed(`${at}.${key}`, 'expected an array of strings');
  return value.length === 0 ? undefined : value;
}

/** The objects of a list with the path of each, e.g. `ips[1]`. */
function objects(object: JsonObject, key: string, at = ''): [JsonObject, string][] {
  const path = at === '' ? key : `${at}.${key}`;
  const value = field(object, key) ?? [];
  if (!Array.isArray(value)) throw malformed(path, `expected an array, got ${typeName(value)}`);
  return value.map((item: unknown, index): [JsonObject, string] => {
    if (!isJsonObject(item))
      throw malformed(`${path}[${index}]`, `expected an object, got ${typeName(item)}`);
    return [item, `${path}[${index}]`];
  });
}

function cidr(object: JsonObject, key: string, at: string): string {
  const given = text(object, key, at);
  const canonical = canonicalCidr(given);
  if (canonical === undefined) throw malformed(`${at}.${key}`, `invalid CIDR address: ${given}`);
  return canonical;
}

function ip(object: JsonObject, key: string, at: string): string | undefined {
  const given = text(object, key, at);
  if (given === '') return undefined;
  const canonical = canonicalIp(given);
  if (canonical === undefined) throw malformed(`${at}.${key}`, `invalid IP address: ${given}`);
  return canonical;
}

type Loose<T> = { [K in keyof T]: T[K] | undefined };

/** Leaves out what is undefined. */
function compact<T extends object>(object: Loose<T>): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function toJson(object: object): JsonObject {
  return compact<JsonObject>({ ...object });
}

function nonEmpty(key: string, list: Json[]): JsonObject {
  return list.length === 0 ? {} : { [key]: list };
}

function malformed(path: string, problem: string): CniError {
  return new CniError(CniCode.DecodeFailure, `invalid result: ${path}: ${problem}`);
}

function unsupported(version: string): CniError {
  return new CniError(CniCode.IncompatibleVersion, `unsupported CNI result version "${version}"`);
}
