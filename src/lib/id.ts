import { randomBytes } from 'node:crypto';
import { BerthError } from './errors.ts';

/** A new sandbox or container id: 64 hex digits, as containerd and CRI-O make them. */
export function newId(): string {
  return randomBytes(32).toString('hex');
}

/**
 * The one known id that begins with what was given, or undefined. crictl sends what was typed, so every RPC that takes an
 * id takes a unique prefix; an ambiguous one is INVALID_ARGUMENT.
 */
export function resolveId(given: string, known: ReadonlyMap<string, unknown>): string | undefined {
  if (given === '' || known.has(given)) return given === '' ? undefined : given;
  const matches: string[] = [];
  for (const id of known.keys()) if (id.startsWith(given)) matches.push(id);
  if (matches.length > 1) {
    throw new BerthError(
      'INVALID_ARGUMENT',
      `id "${given}" is ambiguous: ${matches.length} ids begin with it`,
    );
  }
  return matches[0];
}
