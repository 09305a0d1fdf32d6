import type { Container__Output } from '../gen/containerd/services/containers/v1/Container.ts';
import { BerthError } from '../lib/errors.ts';
import type { JsonObject } from '../lib/json.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import { type Any, fromJsonAny, runtimeSpecAny } from './typeurl.ts';
import type { Labels } from './types.ts';

/** What containerd knows of a container: what it is to be, not whether it runs. */
export interface Container {
  readonly id: string;
  readonly labels: Labels;
  /** Name of the image; '' for none. */
  readonly image: string;
  /** The runtime's type, such as `io.containerd.runc.v2`. */
  readonly runtime: string;
  /** For the runtime's shim. */
  readonly runtimeOptions: Any | undefined;
  /** The OCI runtime specification. */
  readonly spec: JsonObject | undefined;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
}

export interface NewContainer {
  readonly id: string;
  readonly labels: Labels;
  readonly image: string;
  readonly runtime: { readonly type: string; readonly options?: Any };
  readonly spec: object;
  readonly snapshotter: string;
  readonly snapshotKey: string;
}

/** containerd's containers: what `ctr containers` shows. */
export class Containers {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.containers.v1.Containers.service;
  }

  /** Throws NOT_FOUND. */
  async get(id: string, options?: CallOptions): Promise<Container> {
    const { container } = await this.#connection.unary(this.#rpc.Get, { id }, options);
    return toContainer(container);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Container[]> {
    const request = { filters: [...filters] };
    const { containers } = await this.#connection.unary(this.#rpc.List, request, options);
    return containers.map(toContainer);
  }

  /** Throws ALREADY_EXISTS. From now on the container holds its snapshot against the garbage collector. */
  async create(container: NewContainer, options?: CallOptions): Promise<Container> {
    const { id, labels, image, runtime, spec, snapshotter, snapshotKey } = container;
    const request = {
      container: {
        id,
        labels: { ...labels },
        image,
        runtime: { name: runtime.type, options: runtime.options ?? null },
        spec: runtimeSpecAny('Spec', spec),
        snapshotter,
        snapshotKey,
      },
    };
    const { container: made } = await this.#connection.unary(this.#rpc.Create, request, options);
    return toContainer(made);
  }

  /** Replaces the specification, which the next task is made from. Throws NOT_FOUND. */
  async updateSpec(id: string, spec: object, options?: CallOptions): Promise<void> {
    const request = {
      container: { id, spec: runtimeSpecAny('Spec', spec) },
      updateMask: { paths: ['spec'] },
    };
    await this.#connection.unary(this.#rpc.Update, request, options);
  }

  /** Sets these labels and leaves the others. Throws NOT_FOUND. */
  async label(id: string, labels: Labels, options?: CallOptions): Promise<void> {
    const request = {
      container: { id, labels: { ...labels } },
      updateMask: { paths: Object.keys(labels).map((key) => `labels.${key}`) },
    };
    await this.#connection.unary(this.#rpc.Update, request, options);
  }

  /** Throws NOT_FOUND. Its snapshot stays. */
  async delete(id: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Delete, { id }, options);
  }
}

function toContainer(wire: Container__Output | null): Container {
  if (wire === null) throw new BerthError('INTERNAL', 'containerd answered without the container');
  const { id, labels, image, runtime, spec, snapshotter, snapshotKey, createdAt } = wire;
  return {
    id,
    labels,
    image,
    runtime: runtime?.name ?? '',
    runtimeOptions: runtime?.options ?? undefined,
    spec: fromJsonAny(spec),
    snapshotter,
    snapshotKey,
    createdAt: fromTimestamp(createdAt),
  };
}
