/**
 * JSON whose integers are exact. Memory limits and seccomp arguments are 64 bits wide, more than a JavaScript number
 * holds: `JSON.stringify(2 ** 63 - 1)` writes a number that no OCI runtime accepts.
 */
import { randomUUID } from 'node:crypto';

/** A whole number; a bigint where a number would not be exact. */
export type Integer = number | bigint;

/** The value as a number when that is exact. */
export function exactInteger(value: bigint): Integer {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** As JSON.stringify, with bigints as plain integers. */
export function encodeJson(value: unknown): string {
  const mark = randomUUID();
  const text = JSON.stringify(value, (_, entry: unknown) =>
    typeof entry === 'bigint' ? `${mark}${entry}` : entry,
  );
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1');
}

// A whole string, so that digits inside of one are passed over; or an integer that may be too long for a number.
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;

/** As JSON.parse, with integers that a number cannot hold as bigints. Throws a SyntaxError. */
export function decodeJson(text: string): unknown {
  const mark = randomUUID();
  const marked = text.replace(STRING_OR_LONG_INTEGER, (token) =>
    token.startsWith('"') ? token : `"${mark}${token}"`,
  );
  return JSON.parse(marked, (_, entry: unknown) =>
    typeof entry === 'string' && entry.startsWith(mark)
      ? exactInteger(BigInt(entry.slice(mark.length)))
      : entry,
  );
}
