import { codeOf, messageOf } from '../lib/errors.ts';
import { printable } from './table.ts';

/** What `berth` returns to its caller; `berth help` documents it. */
export const Exit = { ok: 0, failed: 1, usage: 2, unreachable: 3, notFound: 4 } as const;

/** The command line is wrong: an unknown command or flag, a missing or malformed argument. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Nobody answers on the socket. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** The exit code for anything that a command threw. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof UsageError) return Exit.usage;
  if (thrown instanceof UnreachableError) return Exit.unreachable;
  return codeOf(thrown) === 'NOT_FOUND' ? Exit.notFound : Exit.failed;
}

/** The one line for stderr. */
export function errorLine(thrown: unknown): string {
  return `berth: ${printable(messageOf(thrown))}\n`;
}
