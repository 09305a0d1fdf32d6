import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { podConfig } from '../helpers/cri-client.ts';
import type { CriClient } from '../helpers/cri-client.ts';
import { cgroupParent } from './containerd.ts';

/** Milliseconds by what was measured. */
export class Samples {
  readonly #byName = new Map<string, number[]>();

  add(name: string, milliseconds: number): void {
    const list = this.#byName.get(name) ?? [];
    list.push(milliseconds);
    this.#byName.set(name, list);
  }

  async time<T>(name: string, action: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await action();
    this.add(name, performance.now() - start);
    return result;
  }

  /** The middle value; NaN when nothing was measured. */
  p50(name: string): number {
    const sorted = [...(this.#byName.get(name) ?? [])].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }
}

/** What is measured at every endpoint; the words of the printed table. */
export const operations = {
  run: 'RunPodSandbox',
  status: 'PodSandboxStatus',
  list: 'ListPodSandbox',
  down: 'Stop+Remove',
  runParallel: 'RunPodSandbox, 10 at a time',
  downParallel: 'Stop+Remove, 10 at a time',
} as const;

const AT_A_TIME = 10;

const SETTLE_MS = 500;

let serial = 0;

/** A configuration that nobody had before: names of sandboxes are reserved. */
function nextPod(): ReturnType<typeof podConfig> {
  serial += 1;
  return podConfig(`bench-${serial}`, { linux: { cgroupParent } });
}

/** Sandboxes made one after the other, each with a status and a list; then taken down one after the other. */
export async function sequentially(client: CriClient, samples: Samples, count: number): Promise<void> {
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const config = nextPod();
    const id = await samples.time(operations.run, () => client.run(config));
    await samples.time(operations.status, () => client.podStatus(id));
    await samples.time(operations.list, () => client.list());
    ids.push(id);
  }
  for (const id of ids) await samples.time(operations.down, () => takeDown(client, id));
  await settle();
}

/** As many sandboxes with ten calls under way all the time; then down again in the same way. */
export async function concurrently(client: CriClient, samples: Samples, count: number): Promise<void> {
  const ids: string[] = [];
  await atATime(Array.from({ length: count }, nextPod), async (config) => {
    ids.push(await samples.time(operations.runParallel, () => client.run(config)));
  });
  await atATime(ids, (id) => samples.time(operations.downParallel, () => takeDown(client, id)));
  await settle();
}

/**
 * Lets the kernel destroy the namespaces that were left to it. It holds the lock of all network configuration meanwhile, and
 * whoever is measured next would wait for it.
 */
export function settle(): Promise<void> {
  return sleep(SETTLE_MS);
}

/** Makes sandboxes that stay. */
export async function fill(client: CriClient, count: number): Promise<void> {
  await atATime(Array.from({ length: count }, nextPod), async (config) => {
    await client.run(config);
  });
}

/** Removes every sandbox that there is. */
export async function empty(client: CriClient): Promise<void> {
  await atATime(await client.list(), ({ id }) => takeDown(client, id));
}

/** Stops and removes a sandbox. */
export async function takeDown(client: CriClient, id: string): Promise<void> {
  await client.stop(id);
  await client.remove(id);
}

/** Ten at a time: as soon as one is done, the next begins. */
export async function atATime<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await action(item);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}
