import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { findProcesses, isShimOf } from './embedded/process.ts';
import { Shim } from './shim.ts';
import { bundlesOf, endpointOf, type ShimEndpoint } from './shim-endpoint.ts';
import type { Exit } from './tasks.ts';

interface Watch {
  readonly ends: Map<string, Exit>;
  readonly shims: Shim[];
  /** Once each shim has been asked. */
  readonly asked: Promise<void>;
  isOver: boolean;
}

/**
 * Asks the shims themselves how their containers end while their containerd is away. From 1.7 on it forgets, as it starts, what has ended
 * meanwhile, and with the last task of a pod goes the shim that could have told.
 */
export class ShimWatch {
  readonly #address: string;
  readonly #log: Logger;
  #watch: Watch | undefined;

  /** @param address of containerd's socket, which its shims were started with. */
  constructor({ address, log }: { address: string; log: Logger }) {
    this.#address = address;
    this.#log = log;
  }

  /** Begins, unless it has; resolves once each shim has been asked. One that cannot be asked is left out. Does not throw. */
  async begin(): Promise<void> {
    try {
      this.#watch ??= watchShims(this.#address);
      await this.#watch.asked;
    } catch (error) {
      this.#log.warn('failed to ask shims for the ends of containers', { error: messageOf(error) });
    }
  }

  /** The containers that have ended since it began, or before that without containerd having been told. */
  get ends(): ReadonlyMap<string, Exit> {
    return this.#watch?.ends ?? new Map();
  }

  /** To be called when containerd is back, and `ends` have been looked at. */
  end(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch === undefined) return;
    watch.isOver = true;
    for (const shim of watch.shims) shim.close();
  }
}

function watchShims(address: string): Watch {
  const watch = { ends: new Map<string, Exit>(), shims: [], isOver: false };
  const asking = [...tasksByShim(address).values()].map(({ endpoint, ids }) =>
    askShim(watch, endpoint, ids).catch(() => undefined),
  );
  return Object.assign(watch, { asked: Promise.all(asking).then(() => undefined) });
}

async function askShim(
  watch: Omit<Watch, 'asked'>,
  endpoint: ShimEndpoint,
  ids: readonly string[],
): Promise<void> {
  const shim = await Shim.connect(endpoint);
  if (watch.isOver) {
    shim.close();
    return;
  }
  watch.shims.push(shim);
  for (const containerId of ids) {
    shim.wait({ containerId }).then(
      (end) => watch.ends.set(containerId, end),
      // Gone, or the watch is over.
      () => undefined,
    );
  }
}

/** The tasks in the namespace of kubelet, by where their shims listen: each has a bundle, beside that in which its shim works. */
function tasksByShim(address: string): Map<string, { endpoint: ShimEndpoint; ids: string[] }> {
  const shims = findProcesses((argv) => isShimOf(argv, address));
  const roots = new Set(shims.flatMap(({ pid }) => bundlesOf(pid) ?? []));
  const found = new Map<string, { endpoint: ShimEndpoint; ids: string[] }>();
  for (const root of roots) {
    for (const id of entries(root)) {
      const endpoint = endpointOf(join(root, id));
      if (endpoint === undefined) continue;
      const shim = found.get(endpoint.path);
      if (shim === undefined) found.set(endpoint.path, { endpoint, ids: [id] });
      else shim.ids.push(id);
    }
  }
  return found;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
