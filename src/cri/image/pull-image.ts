import type { PullImageRequest__Output } from '../../gen/runtime/v1/PullImageRequest.ts';
import type { PullImageResponse } from '../../gen/runtime/v1/PullImageResponse.ts';
import { type ImageUnary, passedOn } from './image-call.ts';
import { requireImage } from './require-image.ts';

/** CRI PullImage: mirrors, credentials and unpacking are containerd's. The answer is the image's id. */
export const pullImage: ImageUnary<PullImageRequest__Output, PullImageResponse> = async (
  deps,
  request,
  call,
) => {
  requireImage(request.image);
  return deps.images.pullImage(request, passedOn(call));
};
