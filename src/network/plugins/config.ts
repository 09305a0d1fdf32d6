/**
 * Reading a plugin's configuration. Go, in which the reference plugins are written, matches JSON keys without case,
 * and ignores null; so do these.
 */
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts';
import { CniCode, CniError } from '../cni/types.ts';

/** The value of a key: the exact name first, then any spelling that differs only in case. Null counts as absent. */
export function key(object: JsonObject, name: string): Json | undefined {
  if (Object.hasOwn(object, name)) return object[name] ?? undefined;
  const folded = name.toLowerCase();
  const found = Object.keys(object).find((candidate) => candidate.toLowerCase() === folded);
  return found === undefined ? undefined : (object[found] ?? undefined);
}

/** DecodeFailure (6): a key holds a value of the wrong JSON type. */
export function wrongType(path: string, wanted: string): CniError {
  return new CniError(CniCode.DecodeFailure, `invalid ${path}: must be ${wanted}`);
}

/** InvalidNetworkConfig (7): a key holds a value that makes no sense. */
export function badValue(path: string, problem: string): CniError {
  return new CniError(CniCode.InvalidNetworkConfig, `invalid ${path}: ${problem}`);
}

/** Internal (999): what a plain error of a reference plugin becomes. */
export function failure(message: string): CniError {
  return new CniError(CniCode.Internal, message);
}

function typed<T extends Json>(wanted: string, is: (value: Json) => value is T) {
  return (object: JsonObject, name: string, path = name): T | undefined => {
    const value = key(object, name);
    if (value === undefined) return undefined;
    if (!is(value)) throw wrongType(path, wanted);
    return value;
  };
}

/** Typed values of keys: undefined when absent, DecodeFailure naming `path` (by default the key) on another type. */
export const stringAt = typed('a string', (value) => typeof value === 'string');
export const booleanAt = typed('true or false', (value) => typeof value === 'boolean');
export const integerAt = typed('an integer', (value): value is number => Number.isSafeInteger(value));
export const objectAt = typed('an object', isJsonObject);
export const arrayAt = typed('an array', (value) => Array.isArray(value));

/**
 * What a DEL reads. Undefined when it makes no sense: then every ADD has refused it, and there is nothing to undo.
 */
export function ifValid<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CniError) return undefined;
    throw error;
  }
}

/** An array of strings. */
export function stringsAt(object: JsonObject, name: string, path = name): string[] | undefined {
  const values = arrayAt(object, name, path);
  if (values === undefined) return undefined;
  return values.map((value, index) => {
    if (typeof value !== 'string') throw wrongType(`${path}[${index}]`, 'a string');
    return value;
  });
}

/** A tree of the keys that a plugin understands; `true` accepts any value, arrays are looked into. */
export interface KnownKeys {
  readonly [name: string]: true | KnownKeys;
}

/** Keys that every plugin may be given: the specification's own, and those of a list in a single-plugin file. */
export const protocolKeys: KnownKeys = {
  cniVersion: true,
  cniVersions: true,
  name: true,
  type: true,
  disableCheck: true,
  disableGC: true,
  loadOnlyInlinedPlugins: true,
  capabilities: true,
  args: true,
  dns: true,
  prevResult: true,
  'cni.dev/attachments': true,
  'cni.dev/valid-attachments': true,
};

/** The dotted path of the first key that is not in the tree; undefined when all are. */
export function firstUnknownKey(value: Json, known: KnownKeys, path = ''): string | undefined {
  if (Array.isArray(value)) {
    return firstOf(value, (item, index) => firstUnknownKey(item, known, `${path}[${index}]`));
  }
  if (!isJsonObject(value)) return undefined;
  const names = new Map(Object.entries(known).map(([name, below]) => [name.toLowerCase(), below]));
  return firstOf(Object.entries(value), ([name, below]) => {
    const here = path === '' ? name : `${path}.${name}`;
    const tree = names.get(name.toLowerCase());
    if (tree === undefined) return here;
    return tree === true ? undefined : firstUnknownKey(below, tree, here);
  });
}

function firstOf<T>(
  items: readonly T[],
  look: (item: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, item] of items.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
