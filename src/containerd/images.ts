import type { Image__Output } from '../gen/containerd/services/images/v1/Image.ts';
import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import { type Descriptor, fromDescriptor, type Labels, toDescriptor } from './types.ts';

/** A name of content. */
export interface Image {
  readonly name: string;
  readonly labels: Labels;
  /** A manifest, or an index of manifests. */
  readonly target: Descriptor;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** containerd's images: what `ctr images` shows. */
export class Images {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.images.v1.Images.service;
  }

  /** Throws NOT_FOUND. */
  async get(name: string, options?: CallOptions): Promise<Image> {
    const { image } = await this.#connection.unary(this.#rpc.Get, { name }, options);
    return toImage(image);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Image[]> {
    const request = { filters: [...filters] };
    const { images } = await this.#connection.unary(this.#rpc.List, request, options);
    return images.map(toImage);
  }

  /** Gives content a name. Throws ALREADY_EXISTS. */
  async create(name: string, target: Descriptor, labels: Labels, options?: CallOptions): Promise<Image> {
    const request = { image: { name, target: fromDescriptor(target), labels: { ...labels } } };
    const { image } = await this.#connection.unary(this.#rpc.Create, request, options);
    return toImage(image);
  }

  /** Makes a name mean something else. Throws NOT_FOUND. */
  async retarget(name: string, target: Descriptor, options?: CallOptions): Promise<Image> {
    const request = {
      image: { name, target: fromDescriptor(target) },
      updateMask: { paths: ['target'] },
    };
    const { image } = await this.#connection.unary(this.#rpc.Update, request, options);
    return toImage(image);
  }

  /** Takes the name away; `sync` waits until the garbage collector has run. Throws NOT_FOUND. */
  async delete(
    name: string,
    { sync = false, ...options }: CallOptions & { sync?: boolean } = {},
  ): Promise<void> {
    await this.#connection.unary(this.#rpc.Delete, { name, sync }, options);
  }
}

function toImage(wire: Image__Output | null): Image {
  if (wire === null) throw new BerthError('INTERNAL', 'containerd answered without the image');
  const { name, labels, target, createdAt, updatedAt } = wire;
  return {
    name,
    labels,
    target: toDescriptor(target),
    createdAt: fromTimestamp(createdAt),
    updatedAt: fromTimestamp(updatedAt),
  };
}
