import { isJsonObject, type JsonObject } from '../../lib/json.ts';

/**
 * Looks a key up as Go's decoder would: the exact name first, else the last key that differs from it only in
 * case. Own properties only; an explicit null counts as absent, as it does in Go.
 */
export function field(object: object, name: string): unknown {
  if (Object.hasOwn(object, name)) return (object as Record<string, unknown>)[name] ?? undefined;
  const folded = name.toLowerCase();
  const match = Object.keys(object).findLast((key) => key.toLowerCase() === folded);
  return match === undefined ? undefined : ((object as Record<string, unknown>)[match] ?? undefined);
}

/**
 * A copy of the object with some keys set. A key that is there in other case is replaced: a reader that
 * ignores case must not find two. A key whose new value is undefined is left out.
 */
export function withFields(
  object: JsonObject,
  values: Readonly<Record<string, JsonObject[string] | undefined>>,
): JsonObject {
  const replaced = new Set(Object.keys(values).map((key) => key.toLowerCase()));
  const kept = Object.entries(object).filter(([key]) => !replaced.has(key.toLowerCase()));
  const set = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return Object.fromEntries([...kept, ...set]);
}

/** What a value is called in an error message. */
export function typeName(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (isJsonObject(value)) return 'an object';
  return `a ${typeof value}`;
}
