import { join } from 'node:path';
import { parentOf } from './embedded/process.ts';
import { Shim } from './shim.ts';
import { bundlesOf, endpointOf, type ShimEndpoint } from './shim-endpoint.ts';

/** Finds the shims of tasks by what containerd has noted beside its bundles. Where those are, the tasks that run tell. */
export class Shims {
  readonly #bundles = new Set<string>();

  /** Learns it from the first process of a task. Returns whether the task's shim can be found. */
  learn(id: string, pid: number): boolean {
    if (this.#endpoint(id) !== undefined) return true;
    const bundles = bundlesOf(parentOf(pid));
    if (bundles === undefined || endpointOf(join(bundles, id)) === undefined) return false;
    this.#bundles.add(bundles);
    return true;
  }

  /** Connects to the shim of a task, which is to be closed; undefined when that cannot be done, and containerd is to be asked. */
  async of(id: string): Promise<Shim | undefined> {
    const endpoint = this.#endpoint(id);
    if (endpoint === undefined) return undefined;
    return Shim.connect(endpoint).catch(() => undefined);
  }

  #endpoint(id: string): ShimEndpoint | undefined {
    for (const bundles of this.#bundles) {
      const endpoint = endpointOf(join(bundles, id));
      if (endpoint !== undefined) return endpoint;
    }
    return undefined;
  }
}
