import type { Containerd } from '../../containerd/containerd.ts';
import { type ImageDocuments, readImage } from '../../containerd/image-documents.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import type { Image } from '../../containerd/images.ts';
import type { Image__Output } from '../../gen/runtime/v1/Image.ts';
import { BerthError } from '../../lib/errors.ts';
import type { EngineOptions } from './engine.ts';
import { gone } from './gone.ts';

/** Nodes have fewer images; past this all are read again. */
const KNOWN_IMAGES_MOST = 500;

interface KnownImage {
  /** In containerd. */
  readonly name: string;
  readonly documents: ImageDocuments;
}

/** Finds the image that an id or a reference names. */
export class ImageResolver {
  readonly #containerd: Containerd;
  readonly #service: ImageService;
  readonly #known = new Map<string, KnownImage>();

  constructor(containerd: Containerd, service: ImageService) {
    this.#containerd = containerd;
    this.#service = service;
  }

  /** Throws NOT_FOUND for an image that is absent, or there for other platforms only. */
  async resolve(
    reference: string,
    options: EngineOptions = {},
  ): Promise<KnownImage & { readonly image: Image__Output }> {
    const request = { image: { image: reference }, verbose: false };
    const { image } = await this.#service.imageStatus(request, options);
    if (image === null) throw await this.#absent(reference, options);
    const names = [image.id, ...image.repoTags, ...image.repoDigests];
    return { image, ...(await this.#documents(image.id, names, options)) };
  }

  /** An image's id is the digest of its configuration: what was read once is true for as long as one of the names is the same. */
  async #documents(id: string, names: readonly string[], options: EngineOptions): Promise<KnownImage> {
    const known = this.#known.get(id);
    if (known !== undefined && names.includes(known.name)) return known;
    const { name, target } = await this.#firstImage(names, options);
    const documents = await readImage(this.#containerd.content, target, { ...options, id });
    if (this.#known.size >= KNOWN_IMAGES_MOST) this.#known.clear();
    this.#known.set(id, { name, documents });
    return { name, documents };
  }

  /** containerd's CRI does not know an image that is there, but for other platforms only. */
  async #absent(reference: string, options: EngineOptions): Promise<BerthError> {
    const record = await gone(this.#containerd.images.get(reference, options));
    if (record !== undefined) await readImage(this.#containerd.content, record.target, options);
    return new BerthError('NOT_FOUND', `image "${reference}" not found: pull it first`);
  }

  /** containerd's CRI names each image by its id as well; what `ctr` imported may have its reference only. */
  async #firstImage(names: readonly string[], options: EngineOptions): Promise<Image> {
    for (const name of names) {
      const image = await gone(this.#containerd.images.get(name, options));
      if (image !== undefined) return image;
    }
    throw new BerthError('NOT_FOUND', `image "${names[0] ?? ''}" has no record in containerd`);
  }
}
