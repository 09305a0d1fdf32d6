import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';

/**
 * The existing paths that an absolute pattern with `*` and `?` stands for, in any of its segments, sorted. A
 * directory that cannot be read matches nothing, as with Go's filepath.Glob.
 */
export function glob(pattern: string): string[] {
  const segments = pattern.split(sep).filter((segment) => segment !== '');
  return segments
    .reduce<string[]>((paths, segment) => paths.flatMap((path) => matches(path, segment)), [sep])
    .sort();
}

function matches(directory: string, segment: string): string[] {
  if (!/[*?]/.test(segment)) return [join(directory, segment)];
  const wanted = wildcards(segment);
  return names(directory)
    .filter((name) => wanted.test(name))
    .map((name) => join(directory, name));
}

/** What a pattern with `*` and `?` stands for, neither of which goes over a slash. */
export function wildcards(pattern: string): RegExp {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, (special) => WILDCARDS[special] ?? `\\${special}`);
  return new RegExp(`^${source}$`, 's');
}

const WILDCARDS: Readonly<Record<string, string>> = { '*': '[^/]*', '?': '[^/]' };

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
