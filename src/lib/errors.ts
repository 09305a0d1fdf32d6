/**
 * The one error class of Berth. Code that fails throws a BerthError with a code; only cri/ turns the code
 * into a gRPC status. Messages read `failed to <verb> <object> "<id>": <cause>`.
 */
export type ErrorCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE';

export interface ErrorOptionsWithMeta {
  readonly cause?: unknown;
  /** Flat facts for the log and for verbose answers: ids, paths, elapsed milliseconds. */
  readonly meta?: Readonly<Record<string, string | number | boolean>>;
}

export class BerthError extends Error {
  override readonly name = 'BerthError';
  readonly code: ErrorCode;
  readonly meta: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptionsWithMeta = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.meta = options.meta ?? {};
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The code of anything that was thrown. A full disk has one; what else is no BerthError has UNKNOWN, as an unclassified Go error has. */
export function codeOf(thrown: unknown): ErrorCode {
  if (thrown instanceof BerthError) return thrown.code;
  return isErrno(thrown, 'ENOSPC', 'EDQUOT') ? 'RESOURCE_EXHAUSTED' : 'UNKNOWN';
}

/**
 * Puts what was being done in front of a cause and keeps its code: `wrap('failed to stop sandbox "x"', e)`.
 */
export function wrap(doing: string, cause: unknown, code: ErrorCode = codeOf(cause)): BerthError {
  const meta = cause instanceof BerthError ? cause.meta : {};
  return new BerthError(code, `${doing}: ${messageOf(cause)}`, { cause, meta });
}

/** INVALID_ARGUMENT that names the field: `invalid config.metadata.name: must not be empty`. */
export function invalid(field: string, problem: string): BerthError {
  return new BerthError('INVALID_ARGUMENT', `invalid ${field}: ${problem}`, { meta: { field } });
}

/** True for an errno exception of Node with one of these codes. */
export function isErrno(thrown: unknown, ...codes: string[]): thrown is NodeJS.ErrnoException {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'string' &&
    codes.includes(thrown.code)
  );
}
