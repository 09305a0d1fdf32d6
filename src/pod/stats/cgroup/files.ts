import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../../lib/errors.ts';

/**
 * What the kernel says of a cgroup or process that has gone, between open and read too, and of a file that it does not serve
 * (pressure files with psi=0).
 */
const GONE = ['ENOENT', 'ENOTDIR', 'ENODEV', 'ESRCH', 'ENOTSUP', 'EOPNOTSUPP'];

/** What v1 shows for "no limit" is the largest count of whole pages, which depends on the machine. */
const UNLIMITED = 1n << 62n;

/** Does something with files of the kernel; undefined when what they are about has gone, or for one of these errors too. */
export function unlessGone<T>(read: () => T, ...also: readonly string[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isErrno(error, ...GONE, ...also)) return undefined;
    throw error;
  }
}

/** A file's text; undefined when it is absent. */
export function readText(path: string): string | undefined {
  return unlessGone(() => readFileSync(path, 'utf8'));
}

/** A file that holds one number; undefined when it is absent or holds a word, as `max` for no limit. */
export function readCount(path: string): bigint | undefined {
  return toCount(readText(path)?.trim());
}

/** As readCount; undefined also for a number that means no limit. */
export function readLimit(path: string): bigint | undefined {
  const limit = readCount(path);
  return limit === undefined || limit > UNLIMITED ? undefined : limit;
}

/** Numbers by name. */
export interface Pairs {
  get(name: string): bigint | undefined;
}

/** A file with lines of `<name> <number>`; undefined when it is absent. Of the many there are few are asked for. */
export function readPairs(path: string): Pairs | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  const lines = `\n${text}`;
  return {
    get(name) {
      const at = lines.indexOf(`\n${name} `);
      if (at < 0) return undefined;
      const end = lines.indexOf('\n', at + 1);
      return toCount(lines.slice(at + name.length + 2, end < 0 ? undefined : end));
    },
  };
}

/** The directories in a directory, as paths; none when it is absent. */
export function subdirectories(path: string): string[] {
  const entries = unlessGone(() => readdirSync(path, { withFileTypes: true })) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
}

/** Digits as a number; undefined for anything else. */
export function toCount(text: string | undefined): bigint | undefined {
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined;
}
