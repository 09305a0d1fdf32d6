import { invalid } from '../lib/errors.ts';

/** A name that becomes part of a path, of CNI_ARGS and of labels. */
const NAME = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i;

/** A reference with all its parts has less than a thousand. containerd repeats it in errors, and one of 64 KiB ends the connection. */
const MAX_IMAGE_NAME = 4_096;

/** Checks how an image is called, by id or by reference. Throws INVALID_ARGUMENT naming the field. */
export function checkImageName(field: string, image: string): void {
  if (image === '') throw invalid(field, 'must not be empty');
  if (image.length > MAX_IMAGE_NAME) throw invalid(field, `is longer than ${MAX_IMAGE_NAME} characters`);
}

/** Checks a name of Kubernetes' making. Throws INVALID_ARGUMENT naming the field. */
export function checkName(field: string, value: string, max: number): void {
  if (value === '') throw invalid(field, 'must not be empty');
  if (value.length > max) throw invalid(field, `is longer than ${max} characters`);
  if (!NAME.test(value) || value.includes('..')) {
    throw invalid(field, 'must be letters, digits, ".", "_" and "-", with no ".."');
  }
}
