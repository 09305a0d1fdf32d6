import { invalid } from '../lib/errors.ts';

/** A name that becomes part of a path, of CNI_ARGS and of labels. */
const NAME = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i;

/** Checks a name of Kubernetes' making. Throws INVALID_ARGUMENT naming the field. */
export function checkName(field: string, value: string, max: number): void {
  if (value === '') throw invalid(field, 'must not be empty');
  if (value.length > max) throw invalid(field, `is longer than ${max} characters`);
  if (!NAME.test(value) || value.includes('..')) {
    throw invalid(field, 'must be letters, digits, ".", "_" and "-", with no ".."');
  }
}
