import type { StreamImagesRequest__Output } from '../../gen/runtime/v1/StreamImagesRequest.ts';
import type { StreamImagesResponse } from '../../gen/runtime/v1/StreamImagesResponse.ts';
import { type ImageStream, passedOn } from './image-call.ts';

/** Images in one message: at a few KiB each far below the 16 MiB that a message may have. */
const BATCH = 500;

/** CRI StreamImages (KEP-5825): as ListImages, each image once, in batches that are never empty. */
export const streamImages: ImageStream<StreamImagesRequest__Output, StreamImagesResponse> = async function* (
  deps,
  request,
  call,
) {
  const { images } = await deps.images.listImages(request, passedOn(call));
  for (let i = 0; i < images.length; i += BATCH) yield { images: images.slice(i, i + BATCH) };
};
