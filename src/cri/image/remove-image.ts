import type { RemoveImageRequest__Output } from '../../gen/runtime/v1/RemoveImageRequest.ts';
import type { RemoveImageResponse } from '../../gen/runtime/v1/RemoveImageResponse.ts';
import { type ImageUnary, passedOn } from './image-call.ts';
import { requireImage } from './require-image.ts';

/** CRI RemoveImage: all names of the image go with it; one that is not there is success. */
export const removeImage: ImageUnary<RemoveImageRequest__Output, RemoveImageResponse> = async (
  deps,
  request,
  call,
) => {
  requireImage(request.image);
  return deps.images.removeImage(request, passedOn(call));
};
