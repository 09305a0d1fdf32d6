/**
 * Configuration files as text → network lists (CNI specification 1.1.0, section 1). Errors name plugin and key,
 * never a value: a value may be a secret.
 */
import { BerthError, messageOf } from '../../../lib/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../lib/json.ts';
import { field, typeName, withFields } from '../fields.ts';
import { isPluginType } from '../invoke/find.ts';
import { isCniName } from '../names.ts';
import type { NetworkList, PluginConf } from '../types.ts';
import {
  compareVersions,
  CURRENT_VERSION,
  isSupported,
  pickVersion,
  SUPPORTED_VERSIONS,
} from '../versions/versions.ts';

/** A plugin file of `<dir>/<network>/`. */
export interface PluginFile {
  readonly path: string;
  readonly text: string;
}

export interface ListSource {
  /** Path of the file; '' when there is none. */
  readonly source: string;
  /** Reads the plugin files of a network, sorted; asked only when the list wants them. */
  readonly pluginFiles?: (network: string) => Promise<readonly PluginFile[]>;
}

const MAX_DEPTH = 64;

/** Parses a `.conflist`. Throws INVALID_ARGUMENT. */
export async function parseNetworkList(text: string, from: ListSource): Promise<NetworkList> {
  const list = parseObject(text);
  const name = nameOf(list);
  const cniVersion = versionOf(list);
  const onlyInlined = boolOf(list, 'loadOnlyInlinedPlugins');
  const inlined = inlinedPlugins(list, onlyInlined);
  const files = onlyInlined ? [] : ((await from.pluginFiles?.(name)) ?? []);
  const plugins = [...inlined, ...files.map(parsePluginFile)];
  if (plugins.length === 0) throw bad('no plugin configs found');
  const whole =
    files.length === 0 ? text : JSON.stringify({ ...list, plugins, loadOnlyInlinedPlugins: true });
  return {
    name,
    cniVersion,
    disableCheck: boolOf(list, 'disableCheck'),
    disableGC: boolOf(list, 'disableGC'),
    plugins,
    source: from.source,
    text: whole,
  };
}

/** Parses a `.conf` or `.json`, one plugin, into a list of one. Throws INVALID_ARGUMENT. */
export function parseSinglePlugin(text: string, source: string): NetworkList {
  const object = parseObject(text);
  if (object['type'] === undefined && Array.isArray(object['plugins'])) {
    throw bad("missing 'type'; a list of plugins belongs into a file with the extension .conflist");
  }
  const plugin = toPlugin(object);
  // A plugin is read by Go's decoder, which ignores case; a list from a plain map, which does not.
  const at = (key: string): Json | undefined => field(plugin, key) as Json | undefined;
  const head = withFields({}, { name: at('name'), cniVersion: at('cniVersion') });
  const list = { name: nameOf(head), cniVersion: versionOf(head) };
  return {
    ...list,
    disableCheck: false,
    disableGC: false,
    plugins: [plugin],
    source,
    text: JSON.stringify({ ...list, plugins: [object] }),
  };
}

function parsePluginFile(file: PluginFile): PluginConf {
  try {
    return toPlugin(parseObject(file.text));
  } catch (error) {
    throw bad(`${file.path}: ${messageOf(error)}`);
  }
}

function inlinedPlugins(list: JsonObject, onlyInlined: boolean): PluginConf[] {
  const plugins = own(list, 'plugins');
  if (plugins === undefined) {
    if (onlyInlined) throw bad("'loadOnlyInlinedPlugins' is true, and there is no 'plugins' key");
    return [];
  }
  if (!Array.isArray(plugins)) throw bad(`plugins: expected an array, got ${typeName(plugins)}`);
  if (plugins.length === 0) throw bad('plugins: no plugins in list');
  return plugins.map((plugin, index) => {
    if (!isJsonObject(plugin)) throw bad(`plugins[${index}]: expected an object, got ${typeName(plugin)}`);
    try {
      return toPlugin(plugin);
    } catch (error) {
      throw bad(`plugins[${index}]: ${messageOf(error)}`);
    }
  });
}

/** Checks the keys of a plugin that the runtime itself reads; the others are the plugin's own business. */
function toPlugin(object: JsonObject): PluginConf {
  const type = field(object, 'type');
  if (type === undefined || type === '') throw bad("missing 'type'");
  if (typeof type !== 'string') throw bad(`type: expected a string, got ${typeName(type)}`);
  if (!isPluginType(type)) throw bad('type: must be a bare name without a path');
  for (const key of ['name', 'cniVersion'])
    expect(object, key, 'a string', (value) => typeof value === 'string');
  for (const key of ['ipam', 'dns', 'args', 'capabilities']) expect(object, key, 'an object', isJsonObject);
  const ipam = field(object, 'ipam');
  if (isJsonObject(ipam)) {
    const isType = (value: unknown): boolean =>
      value === '' || (typeof value === 'string' && isPluginType(value));
    expect(ipam, 'type', 'a bare name without a path', isType, 'ipam.');
  }
  const capabilities = field(object, 'capabilities');
  for (const [key, value] of isJsonObject(capabilities) ? Object.entries(capabilities) : []) {
    if (typeof value !== 'boolean')
      throw bad(`capabilities.${key}: expected true or false, got ${typeName(value)}`);
  }
  return { ...withFields(object, { type }), type };
}

function expect(
  object: JsonObject,
  key: string,
  what: string,
  is: (value: unknown) => boolean,
  prefix = '',
): void {
  const value = field(object, key);
  if (value !== undefined && !is(value))
    throw bad(`${prefix}${key}: expected ${what}, got ${typeName(value)}`);
}

function nameOf(object: JsonObject): string {
  const name = own(object, 'name');
  if (name === undefined) throw bad('no name');
  if (typeof name !== 'string') throw bad(`name: expected a string, got ${typeName(name)}`);
  if (name === '') throw bad('missing network name');
  if (!isCniName(name)) throw bad('name: invalid characters found in network name');
  return name;
}

function versionOf(object: JsonObject): string {
  const cniVersion = own(object, 'cniVersion') ?? '';
  if (typeof cniVersion !== 'string') throw bad(`cniVersion: expected a string, got ${typeName(cniVersion)}`);
  const cniVersions = own(object, 'cniVersions') ?? [];
  if (!Array.isArray(cniVersions)) throw bad(`cniVersions: expected an array, got ${typeName(cniVersions)}`);
  const offered = cniVersions.map((entry, index) => {
    if (typeof entry !== 'string')
      throw bad(`cniVersions[${index}]: expected a string, got ${typeName(entry)}`);
    return entry;
  });
  const version = attempt(() => pickVersion(cniVersion, offered), 'cniVersion');
  const plain = version === '' ? '0.1.0' : version;
  if (isSupported(plain)) return plain;
  const isNewer = attempt(() => compareVersions(plain, CURRENT_VERSION) > 0, 'cniVersion');
  const why = isNewer ? `is newer than ${CURRENT_VERSION}` : 'is no version of the specification';
  throw bad(`cniVersion: "${plain}" ${why} (supported: ${SUPPORTED_VERSIONS.join(', ')})`);
}

function boolOf(list: JsonObject, key: string): boolean {
  const value = own(list, key);
  if (value === undefined) return false;
  const plain = typeof value === 'string' ? value.toLowerCase() : value;
  if (plain === true || plain === 'true') return true;
  if (plain === false || plain === 'false') return false;
  throw bad(`${key}: expected true or false, got ${typeName(value)}`);
}

/** Keys of the list itself are exact: libcni reads them from a plain map. */
function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function parseObject(text: string): JsonObject {
  if (text.trim() === '') throw bad('the file is empty');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(`invalid JSON${placeOf(messageOf(error), text)}`);
  }
  if (!isJsonObject(value)) throw bad(`expected an object, got ${typeName(value)}`);
  if (!isShallow(value, MAX_DEPTH)) throw bad(`nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

/** Where the parser stopped. Its own words quote the text, which may hold a secret, and are not used. */
function placeOf(message: string, text: string): string {
  const position = /at position (\d+)/.exec(message)?.[1];
  const isAtEnd = position !== undefined && Number(position) >= text.trimEnd().length;
  if (isAtEnd || /end of JSON|Unterminated/.test(message))
    return ': the text ends too early, the file may be truncated';
  if (position !== undefined) return ` in line ${lineAt(text, Number(position))}`;
  const token = /^Unexpected token '(.+?)', (?:\.\.\.)?"([^]*?)"(?:\.\.\.)? is not valid JSON$/.exec(message);
  const around = token?.[2] ?? '';
  const start = around === '' ? -1 : text.indexOf(around);
  const isUnique = start >= 0 && text.indexOf(around, start + 1) < 0;
  const at = start + around.indexOf(token?.[1] ?? '', Math.max(0, Math.floor(around.length / 2) - 1));
  return isUnique ? ` in line ${lineAt(text, Math.max(start, at))}` : '';
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

function isShallow(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}

function attempt<T>(work: () => T, key: string): T {
  try {
    return work();
  } catch (error) {
    throw bad(`${key}: ${messageOf(error)}`);
  }
}

function bad(problem: string): BerthError {
  return new BerthError('INVALID_ARGUMENT', problem);
}
