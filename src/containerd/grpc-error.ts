import { type ServiceError, status } from '@grpc/grpc-js';
import { BerthError, type ErrorCode, messageOf } from '../lib/errors.ts';

/** Our codes are gRPC's, save these few, which stand for their nearest. */
const NEAREST: Readonly<Record<number, ErrorCode>> = {
  [status.OK]: 'UNKNOWN',
  [status.ABORTED]: 'FAILED_PRECONDITION',
  [status.OUT_OF_RANGE]: 'INVALID_ARGUMENT',
  [status.DATA_LOSS]: 'INTERNAL',
  [status.UNAUTHENTICATED]: 'PERMISSION_DENIED',
};

/** The call that failed, as far as its error tells of it. */
export interface FailedCall {
  /** Of containerd's socket. */
  readonly address: string;
  readonly signal?: AbortSignal | undefined;
  /** When its time was up, in milliseconds since 1970. */
  readonly deadline?: number;
}

/**
 * What containerd refused, with its code and its own text. Without an answer it is UNAVAILABLE and names the socket. A call
 * that its own signal ended fails with the signal's reason.
 */
export function fromGrpc(thrown: unknown, { address, signal, deadline = Infinity }: FailedCall): BerthError {
  if (signal?.aborted === true) return fromSignal(signal);
  if (!isServiceError(thrown)) return new BerthError('INTERNAL', messageOf(thrown), { cause: thrown });
  const { code, details } = thrown;
  if (code === status.UNAVAILABLE) return unavailable(address, details, thrown);
  // containerd counts the same time, and the end of the call that it makes then, a cancelled one, can be here before our own timer.
  if (code === status.CANCELLED && Date.now() >= deadline)
    return new BerthError('DEADLINE_EXCEEDED', `Deadline exceeded: ${details}`, { cause: thrown });
  return fromStatus(code, details, thrown);
}

/** A status of gRPC with its text. */
export function fromStatus(code: number, details: string, cause?: unknown): BerthError {
  const known = NEAREST[code] ?? (status[code] as ErrorCode | undefined) ?? 'UNKNOWN';
  return new BerthError(known, details, { cause });
}

function fromSignal(signal: AbortSignal): BerthError {
  const reason: unknown = signal.reason;
  if (reason instanceof BerthError) return reason;
  return new BerthError('CANCELLED', messageOf(reason), { cause: reason });
}

/** grpc-js wraps the socket's own error in sentences that say nothing more. */
function unavailable(address: string, details: string, cause: unknown): BerthError {
  const socket = /Last error: (?:Error: )?(.*?)(?:\. Resolution note:.*)?$/s.exec(details)?.[1];
  const text = `containerd at "${address}" is unavailable: ${socket ?? details}`;
  return new BerthError('UNAVAILABLE', text, { cause, meta: { address } });
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'number' &&
    'details' in thrown &&
    typeof thrown.details === 'string'
  );
}
