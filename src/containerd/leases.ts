import { randomBytes } from 'node:crypto';
import type { Lease__Output } from '../gen/containerd/services/leases/v1/Lease.ts';
import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import type { Labels } from './types.ts';

const EXPIRES = 'containerd.io/gc.expire';

export interface Lease {
  readonly id: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly labels: Labels;
}

/** Something that a lease can hold. */
export interface Resource {
  /** `content`, `ingests` or `snapshots/<snapshotter>`. */
  readonly type: string;
  /** Digest, reference or key. */
  readonly id: string;
}

/** A lease that ends with its scope. */
export interface HeldLease extends Lease, Disposable {}

/** What a lease holds, the garbage collector leaves alone; calls name it as `{ lease: id }`. */
export class Leases {
  readonly #connection: Connection;
  readonly #rpc;
  /** How the ids begin that are made here: what begins otherwise is of another process. */
  readonly #prefix = `berth-${randomBytes(4).toString('hex')}-`;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.leases.v1.Leases.service;
  }

  /**
   * Makes a lease that expires by itself, since whoever made it may be killed. Throws ALREADY_EXISTS when the id is taken.
   */
  async create(
    lease: { readonly id?: string; readonly ttlMs: number; readonly labels?: Labels },
    options?: CallOptions,
  ): Promise<Lease> {
    const expires = new Date(Date.now() + lease.ttlMs).toISOString();
    const request = {
      id: lease.id ?? `${this.#prefix}${randomBytes(8).toString('hex')}`,
      labels: { ...lease.labels, [EXPIRES]: expires },
    };
    const { lease: made } = await this.#connection.unary(this.#rpc.Create, request, options);
    return toLease(made);
  }

  /** Makes a lease for a scope: `using lease = await leases.hold(…)`. The scope's end does not wait for the lease's. */
  async hold(lease: Parameters<Leases['create']>[0], options?: CallOptions): Promise<HeldLease> {
    const made = await this.create(lease, options);
    // It expires if this fails.
    const release = (): void => void this.delete(made.id).catch(() => undefined);
    return { ...made, [Symbol.dispose]: release };
  }

  /** `sync` waits until the garbage collector has run. Throws NOT_FOUND. */
  async delete(
    id: string,
    { sync = false, ...options }: CallOptions & { sync?: boolean } = {},
  ): Promise<void> {
    await this.#connection.unary(this.#rpc.Delete, { id, sync }, options);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Lease[]> {
    const request = { filters: [...filters] };
    const { leases } = await this.#connection.unary(this.#rpc.List, request, options);
    return leases.map(toLease);
  }

  /** Those that another process made, one that may have ended. */
  async former(filters: readonly string[], options?: CallOptions): Promise<Lease[]> {
    return (await this.list(filters, options)).filter(({ id }) => !id.startsWith(this.#prefix));
  }

  async addResource(id: string, resource: Resource, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.AddResource, { id, resource: { ...resource } }, options);
  }

  async deleteResource(id: string, resource: Resource, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.DeleteResource, { id, resource: { ...resource } }, options);
  }

  async resources(id: string, options?: CallOptions): Promise<Resource[]> {
    const { resources } = await this.#connection.unary(this.#rpc.ListResources, { id }, options);
    return resources;
  }
}

function toLease(wire: Lease__Output | null): Lease {
  if (wire === null) throw new BerthError('INTERNAL', 'containerd answered without the lease');
  return { id: wire.id, createdAt: fromTimestamp(wire.createdAt), labels: wire.labels };
}
