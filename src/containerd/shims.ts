import { join } from 'node:path';
import { parentOf } from './embedded/process.ts';
import { Shim } from './shim.ts';
import { bundlesOf, endpointOf, type ShimEndpoint } from './shim-endpoint.ts';

/** Finds the shims of tasks by what containerd has noted beside its bundles. Where those are, the tasks that run tell. */
export class Shims {
  readonly #bundles = new Set<string>();
  /** To those that were asked lately, by where they listen. */
  readonly #connections = new Map<string, Promise<Shim>>();
  /** The same, by the tasks that were asked of: to find out where a shim listens takes files. */
  readonly #ofTasks = new Map<string, Promise<Shim>>();

  /** Learns it from the first process of a task. Returns whether the task's shim can be found. */
  learn(id: string, pid: number): boolean {
    if (this.#endpoint(id) !== undefined) return true;
    const bundles = bundlesOf(parentOf(pid));
    if (bundles === undefined || endpointOf(join(bundles, id)) === undefined) return false;
    this.#bundles.add(bundles);
    return true;
  }

  /** The shim of a task, on a connection that whoever asks it shares; undefined when it cannot be had, and containerd is to be asked. */
  async of(id: string): Promise<Shim | undefined> {
    try {
      const known = await this.#ofTasks.get(id);
      if (known?.isClosed === false) return known;
      const endpoint = this.#endpoint(id);
      if (endpoint === undefined) return undefined;
      let connection = this.#connections.get(endpoint.path);
      if (connection === undefined || (await connection).isClosed) connection = this.#connect(endpoint);
      this.#ofTasks.set(id, connection);
      return await connection;
    } catch {
      return undefined;
    }
  }

  /** What is still under way fails. */
  close(): void {
    for (const connection of this.#connections.values())
      connection.then((shim) => shim.close()).catch(() => undefined);
  }

  #connect(endpoint: ShimEndpoint): Promise<Shim> {
    const { path } = endpoint;
    const onClose = (): void => {
      if (this.#connections.get(path) === connection) this.#connections.delete(path);
      for (const [id, one] of this.#ofTasks) if (one === connection) this.#ofTasks.delete(id);
    };
    const connection = Shim.connect(endpoint, { onClose });
    this.#connections.set(path, connection);
    return connection;
  }

  #endpoint(id: string): ShimEndpoint | undefined {
    for (const bundles of this.#bundles) {
      const endpoint = endpointOf(join(bundles, id));
      if (endpoint !== undefined) return endpoint;
    }
    return undefined;
  }
}
