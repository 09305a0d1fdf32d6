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

/** A file with lines of `<name> <number>`; undefined when it is absent. */
export function readPairs(path: string): ReadonlyMap<string, bigint> | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  const pairs = new Map<string, bigint>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    const value = space < 0 ? undefined : toCount(line.slice(space + 1));
    if (value !== undefined) pairs.set(line.slice(0, space), value);
  }
  return pairs;
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
