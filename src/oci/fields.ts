/** Checks of single fields of a request; all of them throw INVALID_ARGUMENT and name the field. */
import { Buffer } from 'node:buffer';
import { posix } from 'node:path';
import { invalid } from '../lib/errors.ts';
import { exactInteger, type Integer } from '../lib/exact-json.ts';

/** Text that reaches the kernel: a NUL would end it early. */
export function text(field: string, value: string): string {
  if (value.includes('\0')) throw invalid(field, 'must not contain a NUL character');
  return value;
}

/** PATH_MAX, without the NUL. */
export const MAX_PATH_BYTES = 4095;

/**
 * What is executed: a path, or a name to be found on PATH. runc puts it into its error, and hangs when that does not fit a pipe: so
 * would everything that is asked of the pod's shim.
 */
export function program(field: string, value: string): string {
  return text(field, noLongerThanAPath(field, value));
}

function noLongerThanAPath(field: string, value: string): string {
  if (Buffer.byteLength(value) > MAX_PATH_BYTES)
    throw invalid(field, `is longer than a path may be, ${MAX_PATH_BYTES} bytes`);
  return value;
}

/** A clean absolute path. */
export function absolutePath(field: string, value: string): string {
  if (noLongerThanAPath(field, value) === '') throw invalid(field, 'must not be empty');
  if (!value.startsWith('/')) throw invalid(field, `${JSON.stringify(value)} is not an absolute path`);
  const path = posix.normalize(text(field, value));
  return path === '/' ? path : path.replace(/\/$/, '');
}

/** An int64 of the wire, undefined for 0, which means unset. */
export function integer(field: string, value: string, least?: number): Integer | undefined {
  const parsed = BigInt(value);
  if (least !== undefined && parsed < least) throw invalid(field, `${value} is less than ${least}`);
  return parsed === 0n ? undefined : exactInteger(parsed);
}

// runc refuses ids beyond, although the kernel would take them.
const MAX_ID = 2_147_483_647;

/** A user or group id. */
export function userId(field: string, value: string): number {
  const id = Number(value);
  if (!Number.isInteger(id) || id < 0 || id > MAX_ID)
    throw invalid(field, `${value} is not between 0 and ${MAX_ID}`);
  return id;
}

/** The id that the text is, undefined when it is no id. */
export function asUserId(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) && Number(value) <= MAX_ID ? Number(value) : undefined;
}
