import type { ImageSpec__Output } from '../../gen/runtime/v1/ImageSpec.ts';
import { checkImageName } from '../../pod/name.ts';

/** Throws INVALID_ARGUMENT unless the image is named. */
export function requireImage(image: ImageSpec__Output | null): void {
  checkImageName('image.image', image?.image ?? '');
}
