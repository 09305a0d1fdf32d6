import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { BerthError, isErrno, messageOf } from '../lib/errors.ts';

/** A parsed TOML table. */
export type TomlTree = Readonly<Record<string, unknown>>;

/** Narrows a TOML value to a table; dates are objects, too, but no tables. */
export function isTable(value: unknown): value is TomlTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/**
 * Reads a TOML file. Throws NOT_FOUND when there is none, and INVALID_ARGUMENT with `file:line:column` for a
 * syntax error.
 */
export function readToml(path: string): TomlTree {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = isErrno(cause, 'ENOENT', 'ENOTDIR') ? 'NOT_FOUND' : 'FAILED_PRECONDITION';
    throw new BerthError(code, `failed to read configuration "${path}": ${messageOf(cause)}`, { cause });
  }
  try {
    return parse(text);
  } catch (cause) {
    const place = cause instanceof TomlError ? `${path}:${cause.line}:${cause.column}` : path;
    throw new BerthError('INVALID_ARGUMENT', `failed to read configuration "${place}": ${firstLine(cause)}`, {
      cause,
    });
  }
}

/** smol-toml adds a drawing of the place to its message. */
function firstLine(cause: unknown): string {
  return messageOf(cause).split('\n', 1)[0] ?? '';
}
