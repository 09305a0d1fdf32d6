import type { CallOptions } from '../../containerd/connection.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import type { Call } from '../call.ts';

/** What the image RPCs work with. */
export interface ImageDeps {
  readonly images: ImageService;
}

export type ImageUnary<Request, Response> = (
  deps: ImageDeps,
  request: Request,
  call: Call,
) => Promise<Response>;
export type ImageStream<Request, Response> = (
  deps: ImageDeps,
  request: Request,
  call: Call,
) => AsyncIterable<Response>;

/** The client's own deadline and its going away, passed on. */
export function passedOn(call: Call): CallOptions {
  return { signal: call.signal, timeoutMs: call.remainingMs };
}
