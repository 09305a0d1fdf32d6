import type { ImageFsInfoRequest } from '../gen/runtime/v1/ImageFsInfoRequest.ts';
import type { ImageFsInfoResponse__Output } from '../gen/runtime/v1/ImageFsInfoResponse.ts';
import type { ImageStatusRequest } from '../gen/runtime/v1/ImageStatusRequest.ts';
import type { ImageStatusResponse__Output } from '../gen/runtime/v1/ImageStatusResponse.ts';
import type { ListImagesRequest } from '../gen/runtime/v1/ListImagesRequest.ts';
import type { ListImagesResponse__Output } from '../gen/runtime/v1/ListImagesResponse.ts';
import type { PullImageRequest } from '../gen/runtime/v1/PullImageRequest.ts';
import type { PullImageResponse__Output } from '../gen/runtime/v1/PullImageResponse.ts';
import type { RemoveImageRequest } from '../gen/runtime/v1/RemoveImageRequest.ts';
import type { RemoveImageResponse__Output } from '../gen/runtime/v1/RemoveImageResponse.ts';
import { sleep } from '../lib/deadline.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import { loadCri } from '../lib/proto.ts';
import type { CallOptions, Connection, Method } from './connection.ts';

/**
 * The CRI's images, in the CRI's own messages. Errors keep the code and the text of whoever serves them; UNAVAILABLE when
 * nobody does.
 */
export interface ImageService {
  pullImage(request: PullImageRequest, options?: CallOptions): Promise<PullImageResponse__Output>;
  listImages(request: ListImagesRequest, options?: CallOptions): Promise<ListImagesResponse__Output>;
  imageStatus(request: ImageStatusRequest, options?: CallOptions): Promise<ImageStatusResponse__Output>;
  removeImage(request: RemoveImageRequest, options?: CallOptions): Promise<RemoveImageResponse__Output>;
  imageFsInfo(request: ImageFsInfoRequest, options?: CallOptions): Promise<ImageFsInfoResponse__Output>;
}

/** How often a service that is starting is asked. */
const ASK_EVERY_MS = 50;
const ASK_MS = 1_000;

/** The ImageService that containerd's CRI plugin serves on containerd's own socket. */
export class ContainerdImageService implements ImageService {
  readonly #connection: Connection;
  readonly #rpc = loadCri().ImageService.service;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Resolves once images are served. Throws UNAVAILABLE, with why they are not, when the signal aborts before that. */
  async ready({ signal }: { signal: AbortSignal }): Promise<void> {
    let problem = 'not asked yet';
    while (!signal.aborted) {
      try {
        await this.imageFsInfo({}, { timeoutMs: ASK_MS });
        return;
      } catch (error) {
        problem = messageOf(error);
      }
      await sleep(ASK_EVERY_MS, signal);
    }
    throw new BerthError('UNAVAILABLE', `no images are served: ${problem}`);
  }

  /** Apart from all other calls: what it fails with may be a registry's own text, of any length. */
  pullImage(request: PullImageRequest, options?: CallOptions): Promise<PullImageResponse__Output> {
    return this.#connection.apart((own) => this.#call(this.#rpc.PullImage, request, options, own));
  }

  listImages(request: ListImagesRequest, options?: CallOptions): Promise<ListImagesResponse__Output> {
    return this.#call(this.#rpc.ListImages, request, options);
  }

  imageStatus(request: ImageStatusRequest, options?: CallOptions): Promise<ImageStatusResponse__Output> {
    return this.#call(this.#rpc.ImageStatus, request, options);
  }

  removeImage(request: RemoveImageRequest, options?: CallOptions): Promise<RemoveImageResponse__Output> {
    return this.#call(this.#rpc.RemoveImage, request, options);
  }

  /** Before 2.0 containerd tells of the images' filesystem only; containers are on the same. */
  async imageFsInfo(
    request: ImageFsInfoRequest,
    options?: CallOptions,
  ): Promise<ImageFsInfoResponse__Output> {
    const answer = await this.#call(this.#rpc.ImageFsInfo, request, options);
    if (answer.containerFilesystems.length > 0) return answer;
    return { ...answer, containerFilesystems: answer.imageFilesystems };
  }

  async #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
    connection = this.#connection,
  ): Promise<Response> {
    try {
      return await connection.unary(method, request, options);
    } catch (error) {
      throw explained(error, this.#connection.address);
    }
  }
}

/** Whether a call of the CRI failed because the containerd that answered it has no CRI. */
export function isWithoutCri(error: unknown): boolean {
  return (
    error instanceof BerthError && error.code === 'UNIMPLEMENTED' && /unknown service/.test(error.message)
  );
}

/** What a call of the CRI failed with; says what is the matter when it is the plugin and not the image. */
export function explained(error: unknown, address: string): unknown {
  if (!(error instanceof BerthError)) return error;
  if (isWithoutCri(error)) {
    const text = `containerd at "${address}" serves no images: its CRI plugin is disabled or failed to load`;
    return new BerthError('UNAVAILABLE', text, { cause: error });
  }
  // Before 2.0 this is an error without a code.
  if (error.code === 'UNKNOWN' && /server is not initialized yet/.test(error.message)) {
    const text = `containerd at "${address}" is still starting: ${error.message}`;
    return new BerthError('UNAVAILABLE', text, { cause: error });
  }
  return error;
}
