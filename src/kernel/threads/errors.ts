import { BerthError, type ErrorCode } from '../../lib/errors.ts';
import { SyscallError } from '../errno.ts';
import { type ErrorFacts, ThreadPoisonedError } from './job.ts';

/** A chain of causes, or a value, deeper than this is a loop, or of no use to a reader. */
const MAX_DEPTH = 8;

/** The facts of anything that was thrown. */
export function errorToFacts(thrown: unknown, depth = 0): ErrorFacts {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: String(thrown), stack: undefined, properties: {} };
  }
  const facts = {
    name: thrown.name,
    message: thrown.message,
    stack: thrown.stack,
    properties: plainProperties(thrown),
  };
  return thrown.cause === undefined || depth >= MAX_DEPTH
    ? facts
    : { ...facts, cause: errorToFacts(thrown.cause, depth + 1) };
}

function plainProperties(error: Error): Record<string, unknown> {
  const own = Object.entries(error).filter(
    ([key, value]) => key !== 'name' && key !== 'cause' && isPlain(value, 0),
  );
  return Object.fromEntries(own);
}

function isPlain(value: unknown, depth: number): boolean {
  if (
    value === null ||
    ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ||
    value instanceof Uint8Array
  ) {
    return true;
  }
  const isContainer =
    Array.isArray(value) || (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype);
  return (
    isContainer &&
    depth < MAX_DEPTH &&
    Object.values(value as object).every((inner) => isPlain(inner, depth + 1))
  );
}

type Revive = (facts: ErrorFacts, cause: unknown) => Error;

const CLASSES: Readonly<Record<string, Revive>> = {
  BerthError: ({ message, properties }, cause) =>
    new BerthError(properties['code'] as ErrorCode, message, {
      cause,
      meta: properties['meta'] as Record<string, string | number | boolean>,
    }),
  SyscallError: ({ properties }) =>
    new SyscallError(
      properties['syscall'] as string,
      properties['errno'] as number,
      properties['subject'] as string,
      properties['detail'] as string,
    ),
  ThreadPoisonedError: ({ message }, cause) => new ThreadPoisonedError(message, { cause }),
};

/** Any other class becomes an Error that keeps name and properties: so does an fs error its `code`. */
const plainError: Revive = ({ name, message, properties }, cause) => {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  error.name = name;
  return Object.assign(error, properties);
};

/** The error of these facts, with the stack of where it was thrown. */
export function factsToError(facts: ErrorFacts): Error {
  const cause = facts.cause === undefined ? undefined : factsToError(facts.cause);
  const revive = CLASSES[facts.name] ?? plainError;
  const error = revive(facts, cause);
  if (facts.stack !== undefined) {
    error.stack = facts.stack;
  }
  return error;
}
