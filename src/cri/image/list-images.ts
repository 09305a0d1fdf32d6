import type { ListImagesRequest__Output } from '../../gen/runtime/v1/ListImagesRequest.ts';
import type { ListImagesResponse } from '../../gen/runtime/v1/ListImagesResponse.ts';
import { type ImageUnary, passedOn } from './image-call.ts';

/** CRI ListImages: the images that containerd has, by name, digest and id. */
export const listImages: ImageUnary<ListImagesRequest__Output, ListImagesResponse> = (deps, request, call) =>
  deps.images.listImages(request, passedOn(call));
