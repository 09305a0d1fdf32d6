import type { CallOptions, Connection } from './connection.ts';
import {
  type Descriptor,
  fromDescriptor,
  fromMounts,
  type Labels,
  type Mount,
  toDescriptor,
} from './types.ts';

/** Layers into mounted snapshots, and back. */
export class Diffs {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.diff.v1.Diff.service;
  }

  /** Extracts a layer; what it was uncompressed is returned, so its digest is the diff id. Has no time limit of its own. */
  async apply(layer: Descriptor, mounts: readonly Mount[], options: CallOptions = {}): Promise<Descriptor> {
    const request = { diff: fromDescriptor(layer), mounts: fromMounts(mounts) };
    const { applied } = await this.#connection.unary(this.#rpc.Apply, request, {
      timeoutMs: Infinity,
      ...options,
    });
    return toDescriptor(applied);
  }

  /** Makes a layer of what `right` has and `left` has not. Has no time limit of its own. */
  async diff(
    left: readonly Mount[],
    right: readonly Mount[],
    layer: { readonly mediaType: string; readonly ref: string; readonly labels?: Labels },
    options: CallOptions = {},
  ): Promise<Descriptor> {
    const request = {
      left: fromMounts(left),
      right: fromMounts(right),
      mediaType: layer.mediaType,
      ref: layer.ref,
      labels: { ...layer.labels },
    };
    const { diff } = await this.#connection.unary(this.#rpc.Diff, request, {
      timeoutMs: Infinity,
      ...options,
    });
    return toDescriptor(diff);
  }
}
