import type { ImageStatusRequest__Output } from '../../gen/runtime/v1/ImageStatusRequest.ts';
import type { ImageStatusResponse } from '../../gen/runtime/v1/ImageStatusResponse.ts';
import { type ImageUnary, passedOn } from './image-call.ts';
import { requireImage } from './require-image.ts';

/** CRI ImageStatus: an image that is not there is an answer without image. */
export const imageStatus: ImageUnary<ImageStatusRequest__Output, ImageStatusResponse> = async (
  deps,
  request,
  call,
) => {
  requireImage(request.image);
  return deps.images.imageStatus(request, passedOn(call));
};
