import { invalid } from '../../lib/errors.ts';

/** Ids are hex digits; more than a name may be is an attack or a mistake. */
const ID = /^[a-zA-Z0-9_.-]{1,128}$/;

/** Checks an id, or the beginning of one, as a client typed it. Throws INVALID_ARGUMENT naming the field. */
export function requireId(field: string, id: string): string {
  if (id === '') throw invalid(field, 'must not be empty');
  if (!ID.test(id)) throw invalid(field, 'is not an id');
  return id;
}
