import { handlerNameOf, requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import type { ContainerdConfig } from '../../config/schema.ts';
import type { CallOptions } from '../../containerd/connection.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import type { ImageFsInfoRequest } from '../../gen/runtime/v1/ImageFsInfoRequest.ts';
import type { ImageFsInfoResponse__Output } from '../../gen/runtime/v1/ImageFsInfoResponse.ts';
import type { ImageStatusRequest } from '../../gen/runtime/v1/ImageStatusRequest.ts';
import type { ImageStatusResponse__Output } from '../../gen/runtime/v1/ImageStatusResponse.ts';
import type { ListImagesRequest } from '../../gen/runtime/v1/ListImagesRequest.ts';
import type { ListImagesResponse__Output } from '../../gen/runtime/v1/ListImagesResponse.ts';
import type { PullImageRequest } from '../../gen/runtime/v1/PullImageRequest.ts';
import type { PullImageResponse__Output } from '../../gen/runtime/v1/PullImageResponse.ts';
import type { RemoveImageRequest } from '../../gen/runtime/v1/RemoveImageRequest.ts';
import type { RemoveImageResponse__Output } from '../../gen/runtime/v1/RemoveImageResponse.ts';
import type { ImageOptions } from './engine.ts';
import type { EngineImages } from './images.ts';
import { SnapshotUsage } from './snapshot-usage.ts';
import type { Snapshotters } from './snapshotters.ts';

/** By this annotation of the pod containerd has known the handler since 1.7; kubelet has had a field for it since 1.29. */
const ANNOTATION = 'io.containerd.cri.runtime-handler';

export interface HandlerImagesOptions {
  readonly images: EngineImages;
  readonly settings: ContainerdConfig;
  readonly snapshotters: Snapshotters;
  /** Unpacks an image where it is not unpacked yet. */
  readonly unpack: (reference: string, options: ImageOptions) => Promise<void>;
}

/** The engine's images; pulled for a runtime handler with a snapshotter of its own, they are unpacked there. */
export class HandlerImages implements ImageService {
  readonly #images: EngineImages;
  readonly #options: HandlerImagesOptions;
  readonly #usage: SnapshotUsage;

  constructor(options: HandlerImagesOptions) {
    this.#images = options.images;
    this.#options = options;
    this.#usage = new SnapshotUsage(options.snapshotters);
  }

  /**
   * containerd is told the handler only if its own configuration says the same of it: it unpacks on that snapshotter then, layer by layer as it
   * pulls, or lets the snapshotter fetch what it needs. It refuses handlers that it does not know. Throws INVALID_ARGUMENT for
   * one that Berth does not know, FAILED_PRECONDITION when its snapshotter is absent.
   */
  async pullImage(request: PullImageRequest, options?: CallOptions): Promise<PullImageResponse__Output> {
    const { snapshotters, unpack } = this.#options;
    const runtimeHandler = this.#handlerOf(request);
    const { snapshotter } = await snapshotters.ofHandler(runtimeHandler, options);
    const { service } = this.#images;
    if (snapshotter === (await snapshotters.common()))
      return service.pullImage(forHandler(request, ''), options);
    const name = handlerNameOf(this.#options.settings, runtimeHandler);
    const isKnown = (await this.#images.snapshotterOf(name, options)) === snapshotter;
    const answer = await service.pullImage(forHandler(request, isKnown ? name : ''), options);
    await unpack(answer.imageRef, { runtimeHandler, signal: options?.signal });
    return answer;
  }

  listImages(request: ListImagesRequest, options?: CallOptions): Promise<ListImagesResponse__Output> {
    return this.#images.service.listImages(request, options);
  }

  imageStatus(request: ImageStatusRequest, options?: CallOptions): Promise<ImageStatusResponse__Output> {
    return this.#images.service.imageStatus(request, options);
  }

  removeImage(request: RemoveImageRequest, options?: CallOptions): Promise<RemoveImageResponse__Output> {
    return this.#images.service.removeImage(request, options);
  }

  /** The common snapshotter's file system is first: kubelet looks at no other. */
  async imageFsInfo(
    request: ImageFsInfoRequest,
    options?: CallOptions,
  ): Promise<ImageFsInfoResponse__Output> {
    const { imageFilesystems, containerFilesystems } = await this.#images.service.imageFsInfo(
      request,
      options,
    );
    const told = new Set(imageFilesystems.map(({ fsId }) => fsId?.mountpoint));
    const others = this.#usage.get().filter(({ fsId }) => !told.has(fsId?.mountpoint));
    return {
      imageFilesystems: [...imageFilesystems, ...others],
      containerFilesystems: [...containerFilesystems, ...others],
    };
  }

  /** '' for the default one. The annotation is a pod's author's: one that names nothing means nothing, as with containerd 2. */
  #handlerOf({ image, sandboxConfig }: PullImageRequest): string {
    const { settings } = this.#options;
    const asked = image?.runtimeHandler ?? '';
    if (asked !== '') requireRuntimeHandler(settings, asked, 'image.runtime_handler');
    const annotated = sandboxConfig?.annotations?.[ANNOTATION] ?? '';
    return asked === '' && settings.runtimes.has(annotated) ? annotated : asked;
  }
}

/** The request as each containerd understands it, '' for no handler. */
function forHandler(
  { image, sandboxConfig, ...request }: PullImageRequest,
  runtimeHandler: string,
): PullImageRequest {
  const others = Object.entries(sandboxConfig?.annotations ?? {}).filter(([key]) => key !== ANNOTATION);
  const named = runtimeHandler === '' ? [] : [[ANNOTATION, runtimeHandler] as const];
  const annotations = Object.fromEntries([...others, ...named]);
  return {
    ...request,
    image: { ...image, runtimeHandler },
    sandboxConfig: { ...sandboxConfig, annotations },
  };
}
