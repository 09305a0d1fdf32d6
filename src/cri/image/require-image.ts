import type { ImageSpec__Output } from '../../gen/runtime/v1/ImageSpec.ts';
import { invalid } from '../../lib/errors.ts';

/** Throws INVALID_ARGUMENT unless the image is named. */
export function requireImage(image: ImageSpec__Output | null): void {
  if (image === null || image.image === '') throw invalid('image.image', 'must not be empty');
}
