import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import type { Labels } from './types.ts';

/** containerd's own partitions, not the kernel's. */
export class Namespaces {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.namespaces.v1.Namespaces.service;
  }

  async list(options?: CallOptions): Promise<string[]> {
    const { namespaces } = await this.#connection.unary(this.#rpc.List, {}, options);
    return namespaces.map(({ name }) => name);
  }

  /** Makes the namespace unless it is there. */
  async ensure(name: string, labels: Labels = {}, options?: CallOptions): Promise<void> {
    const request = { namespace: { name, labels: { ...labels } } };
    await this.#connection.unary(this.#rpc.Create, request, options).catch((error: unknown) => {
      if (!(error instanceof BerthError && error.code === 'ALREADY_EXISTS')) throw error;
    });
  }

  /** Throws NOT_FOUND, FAILED_PRECONDITION while there is anything in it. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Delete, { name }, options);
  }
}
