import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import type { Logger } from '../lib/log.ts';
import { loadContainerd } from './api.ts';
import { KUBERNETES_NAMESPACE } from './connection.ts';
import { findProcesses, isShimOf } from './embedded/process.ts';
import { fromTimestamp } from './timestamp.ts';
import { TtrpcClient } from './ttrpc.ts';

const UNIX = 'unix://';

/** How the first process of a container has ended. */
export interface TaskEnd {
  readonly exitStatus: number;
  /** Nanoseconds since the epoch. */
  readonly exitedAt: bigint;
}

/** Where a shim listens, and which version of the task service it has. */
interface ShimEndpoint {
  readonly path: string;
  readonly version: number;
}

interface Watch {
  readonly ends: Map<string, TaskEnd>;
  readonly clients: TtrpcClient[];
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
  get ends(): ReadonlyMap<string, TaskEnd> {
    return this.#watch?.ends ?? new Map();
  }

  /** To be called when containerd is back, and `ends` have been looked at. */
  end(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch === undefined) return;
    watch.isOver = true;
    for (const client of watch.clients) client.close();
  }
}

function watchShims(address: string): Watch {
  const watch = { ends: new Map<string, TaskEnd>(), clients: [], isOver: false };
  const shims = [...tasksByShim(address).values()];
  const asking = shims.map(({ endpoint, ids }) => askShim(watch, endpoint, ids).catch(() => undefined));
  return Object.assign(watch, { asked: Promise.all(asking).then(() => undefined) });
}

async function askShim(
  watch: Omit<Watch, 'asked'>,
  { path, version }: ShimEndpoint,
  ids: readonly string[],
): Promise<void> {
  const { v2, v3 } = loadContainerd().task;
  const { Wait } = version >= 3 ? v3.Task.service : v2.Task.service;
  const client = await TtrpcClient.connect(path);
  if (watch.isOver) {
    client.close();
    return;
  }
  client.unref();
  watch.clients.push(client);
  for (const id of ids) {
    client.call(Wait, { id }).then(
      ({ exitStatus, exitedAt }) => watch.ends.set(id, { exitStatus, exitedAt: fromTimestamp(exitedAt) }),
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

function bundlesOf(shim: number): string | undefined {
  try {
    const root = dirname(readlinkSync(`/proc/${shim}/cwd`));
    return basename(root) === KUBERNETES_NAMESPACE ? root : undefined;
  } catch {
    // It has just ended.
    return undefined;
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** containerd 2 notes it as JSON with the version, those before as the address alone. */
function endpointOf(bundle: string): ShimEndpoint | undefined {
  const noted = parsed(read(join(bundle, 'bootstrap.json')));
  const { address, version } = noted ?? { address: read(join(bundle, 'address')).trim(), version: 2 };
  if (typeof address !== 'string' || !address.startsWith(UNIX) || typeof version !== 'number')
    return undefined;
  return { path: address.slice(UNIX.length), version };
}

/** '' when it is absent. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
