import type { ImageFsInfoRequest__Output } from '../../gen/runtime/v1/ImageFsInfoRequest.ts';
import type { ImageFsInfoResponse } from '../../gen/runtime/v1/ImageFsInfoResponse.ts';
import { type ImageUnary, passedOn } from './image-call.ts';

/** CRI ImageFsInfo: what images and containers take on disk. */
export const imageFsInfo: ImageUnary<ImageFsInfoRequest__Output, ImageFsInfoResponse> = (
  deps,
  request,
  call,
) => deps.images.imageFsInfo(request, passedOn(call));
