import { BerthError, messageOf } from '../../lib/errors.ts';
import { resolveId } from '../../lib/id.ts';
import type { Logger } from '../../lib/log.ts';
import { nowNanos } from '../../lib/time.ts';
import { containerCgroupPath, podCgroupPath } from './cgroup/paths.ts';
import { CpuSampler } from './cpu-sampler.ts';
import type { FilesystemReading } from './filesystem.ts';
import type { InterfaceReading } from './interfaces.ts';
import { containerMetrics, type PodMetrics, podMetrics } from './metrics/metrics.ts';
import type { ReadOptions, StatsReader } from './reader.ts';
import type { Part, Reading } from './reading.ts';
import type { MeasuredContainer, MeasuredSandbox, StatsSource } from './source.ts';
import { type ContainerUsage, hasGone, type PodUsage, sumOf } from './usage.ts';
import { WrittenLayers } from './written-layers.ts';

/** What a list is narrowed to; '' and no labels let everything through. An id may be the beginning of one. */
export interface StatsFilter {
  readonly id: string;
  readonly sandboxId?: string;
  readonly labels: Readonly<Record<string, string>>;
}

const EVERYTHING: StatsFilter = { id: '', labels: {} };

type Told = Awaited<ReturnType<StatsSource['told']>>;
const GONE: Reading = { at: 0n };

/** Objects measured and handed over together: a stream's message of some 100 KiB at most. */
const BATCH = 64;
/** A pod's metrics take some 20 KiB for each container. */
const METRICS_BATCH = 16;

const CONTAINER_PARTS: readonly Part[] = ['cpu', 'memory', 'pressure', 'processes'];
const POD_PARTS: readonly Part[] = ['cpu', 'memory', 'pressure', 'processes'];
const METRIC_PARTS: readonly Part[] = [
  'cpu',
  'cpuDetails',
  'memory',
  'memoryDetails',
  'pressure',
  'processes',
  'processDetails',
  'devices',
  'hugepages',
];

/**
 * What containers and pods use, read from the kernel when it is asked for. What vanishes while it is read is left out of a list.
 * Throws what the reader's thread throws, or the reason of an aborted signal.
 */
export class Stats {
  readonly #source: StatsSource;
  readonly #reader: StatsReader;
  readonly #sampler: CpuSampler;
  readonly #layers: WrittenLayers;
  readonly #log: Logger;

  constructor(deps: { readonly source: StatsSource; readonly reader: StatsReader; readonly log: Logger }) {
    this.#source = deps.source;
    this.#reader = deps.reader;
    this.#sampler = new CpuSampler(deps);
    this.#log = deps.log;
    this.#layers = new WrittenLayers(deps.source);
  }

  /** One container, running or not: one that does not run has a writable layer only. Throws NOT_FOUND. */
  async container(given: string, options: ReadOptions = {}): Promise<ContainerUsage> {
    const container = one(this.#source.containers(), given, 'container');
    if (!container.running) {
      return {
        container,
        reading: { at: nowNanos() },
        nanoCores: undefined,
        layer: this.#layers.get(container.id),
      };
    }
    const [usage] = await this.#measure([container], options);
    if (usage === undefined) throw new BerthError('INTERNAL', `container "${container.id}" was not measured`);
    return usage;
  }

  /** The running containers that a filter lets through, in batches that are never empty. */
  async *containers(filter = EVERYTHING, options: ReadOptions = {}): AsyncGenerator<ContainerUsage[]> {
    const wanted = this.#source
      .containers()
      .filter((each) => each.running && matches(each, filter))
      .filter(({ sandboxId }) => sandboxId.startsWith(filter.sandboxId ?? ''));
    for (const some of batches(wanted, BATCH)) {
      const usages = (await this.#measure(some, options)).filter(({ reading }) => !hasGone(reading));
      if (usages.length > 0) yield usages;
    }
  }

  /** One sandbox. Throws NOT_FOUND, and FAILED_PRECONDITION when it is not ready. */
  async sandbox(given: string, options: ReadOptions = {}): Promise<PodUsage> {
    const sandbox = one(this.#source.sandboxes(), given, 'sandbox');
    if (!sandbox.ready) {
      throw new BerthError(
        'FAILED_PRECONDITION',
        `failed to measure sandbox "${sandbox.id}": it is not ready`,
      );
    }
    const [usage] = await this.#measurePods([sandbox], options);
    if (usage === undefined) throw new BerthError('INTERNAL', `sandbox "${sandbox.id}" was not measured`);
    return usage;
  }

  /** The ready sandboxes that a filter lets through, in batches that are never empty. */
  async *sandboxes(filter = EVERYTHING, options: ReadOptions = {}): AsyncGenerator<PodUsage[]> {
    const wanted = this.#source.sandboxes().filter((each) => each.ready && matches(each, filter));
    for (const some of batches(wanted, BATCH)) yield await this.#measurePods(some, options);
  }

  /** Every metric of the ready sandboxes and their running containers, in batches that are never empty. */
  async *metrics(options: ReadOptions = {}): AsyncGenerator<PodMetrics[]> {
    const ready = this.#source.sandboxes().filter((sandbox) => sandbox.ready);
    for (const some of batches(ready, METRICS_BATCH)) yield await this.#measureMetrics(some, options);
  }

  /** Ends sampling. */
  stop(): void {
    this.#sampler.stop();
  }

  async #measure(containers: readonly MeasuredContainer[], options: ReadOptions): Promise<ContainerUsage[]> {
    const readings = await this.#readContainers(containers, CONTAINER_PARTS, options);
    return containers.map((container, i) => {
      const reading = readings[i] ?? { at: nowNanos() };
      return {
        container,
        reading,
        nanoCores: this.#sampler.rate(container.id, reading),
        layer: this.#layers.get(container.id),
      };
    });
  }

  async #measurePods(sandboxes: readonly MeasuredSandbox[], options: ReadOptions): Promise<PodUsage[]> {
    const containersOf = this.#runningIn(sandboxes);
    const [readings, interfaces, containers] = await Promise.all([
      this.#readPods(sandboxes, options),
      this.#interfacesOf(sandboxes, options),
      this.#measure([...containersOf.values()].flat(), options),
    ]);
    return sandboxes.map((sandbox, i) => {
      const own = containers.filter(
        ({ container, reading }) => container.sandboxId === sandbox.id && !hasGone(reading),
      );
      const reading = readings[i] ?? { at: nowNanos() };
      const used = hasGone(reading)
        ? sumOf(own, reading.at)
        : { reading, nanoCores: this.#sampler.rate(sandbox.id, reading) };
      return { sandbox, ...used, interfaces: interfaces.get(sandbox.id), containers: own };
    });
  }

  async #measureMetrics(sandboxes: readonly MeasuredSandbox[], options: ReadOptions): Promise<PodMetrics[]> {
    const containersOf = this.#runningIn(sandboxes);
    const containers = [...containersOf.values()].flat();
    const [interfaces, filesystems, readings] = await Promise.all([
      this.#interfacesOf(sandboxes, options),
      this.#filesystemsOf(containers, options),
      this.#readContainers(containers, METRIC_PARTS, options),
    ]);
    const readingOf = new Map(containers.map(({ id }, i) => [id, readings[i]]));
    return sandboxes.map((sandbox) => ({
      sandboxId: sandbox.id,
      metrics: podMetrics(sandbox, interfaces.get(sandbox.id) ?? []),
      containers: (containersOf.get(sandbox.id) ?? []).flatMap((container) => {
        const reading = readingOf.get(container.id);
        if (reading === undefined || hasGone(reading)) return [];
        const layer = this.#layers.get(container.id);
        const filesystem = filesystems.get(container.snapshotDirectory);
        const metrics = containerMetrics({ container, sandbox, reading, layer, filesystem });
        return [{ containerId: container.id, metrics }];
      }),
    }));
  }

  /** By the directory with the snapshots. */
  async #filesystemsOf(
    containers: readonly MeasuredContainer[],
    options: ReadOptions,
  ): Promise<Map<string, FilesystemReading | undefined>> {
    const directories = new Set(containers.map(({ snapshotDirectory }) => snapshotDirectory));
    directories.delete('');
    const read = async (directory: string) =>
      [directory, await this.#reader.filesystem(directory, options)] as const;
    return new Map(await Promise.all([...directories].map(read)));
  }

  /** From their cgroups; of those that have none on the host, or are more than it shows, as their shims tell. */
  async #readContainers(
    containers: readonly MeasuredContainer[],
    parts: readonly Part[],
    options: ReadOptions,
  ): Promise<Reading[]> {
    const paths = containers.map(({ cgroupsPath }) => containerCgroupPath(cgroupsPath));
    const readings = await this.#reader.cgroups(paths, parts, options);
    const asked = containers.filter(({ toldByShim }, i) => toldByShim || hasGone(readings[i] ?? GONE));
    const told = await this.#told(asked, options);
    return readings.map((reading, i) => ({ ...reading, ...told.get(containers[i]?.id ?? '') }));
  }

  /** Nothing of what the engine does not tell, as when it is away. */
  async #told(containers: readonly MeasuredContainer[], options: ReadOptions): Promise<Told> {
    if (containers.length === 0) return new Map();
    try {
      return await this.#source.told(
        containers.map(({ id }) => id),
        options,
      );
    } catch (error) {
      options.signal?.throwIfAborted();
      this.#log.debug('failed to ask shims for usage', { error: messageOf(error) });
      return new Map();
    }
  }

  /** Of the pods' own cgroups; an empty reading for a pod without one. */
  async #readPods(sandboxes: readonly MeasuredSandbox[], options: ReadOptions): Promise<Reading[]> {
    const withCgroup = sandboxes.filter(({ cgroupParent }) => cgroupParent !== '');
    const paths = withCgroup.map(({ cgroupParent }) => podCgroupPath(cgroupParent));
    const readings = await this.#reader.cgroups(paths, POD_PARTS, options);
    const byId = new Map(withCgroup.map(({ id }, i) => [id, readings[i]]));
    return sandboxes.map(({ id }) => byId.get(id) ?? { at: nowNanos() });
  }

  /** By sandbox id; one without a network namespace of its own is absent. */
  async #interfacesOf(
    sandboxes: readonly MeasuredSandbox[],
    options: ReadOptions,
  ): Promise<Map<string, InterfaceReading[]>> {
    const own = sandboxes.filter(({ netns }) => netns !== '');
    const readings = await this.#reader.interfaces(
      own.map(({ netns }) => netns),
      options,
    );
    return new Map(
      own.flatMap(({ id }, i) => (readings[i] === undefined ? [] : [[id, readings[i]] as const])),
    );
  }

  #runningIn(sandboxes: readonly MeasuredSandbox[]): Map<string, MeasuredContainer[]> {
    const containersOf = new Map(sandboxes.map(({ id }) => [id, [] as MeasuredContainer[]]));
    for (const container of this.#source.containers()) {
      if (container.running) containersOf.get(container.sandboxId)?.push(container);
    }
    return containersOf;
  }
}

function one<T extends { readonly id: string }>(all: readonly T[], given: string, what: string): T {
  const byId = new Map(all.map((each) => [each.id, each]));
  const found = byId.get(resolveId(given, byId) ?? '');
  if (found === undefined) throw new BerthError('NOT_FOUND', `${what} "${given}" not found`);
  return found;
}

function matches(
  object: { readonly id: string; readonly labels: Readonly<Record<string, string>> },
  filter: StatsFilter,
): boolean {
  if (!object.id.startsWith(filter.id)) return false;
  return Object.entries(filter.labels).every(([key, value]) => object.labels[key] === value);
}

function* batches<T>(all: readonly T[], size: number): Generator<T[]> {
  for (let i = 0; i < all.length; i += size) yield all.slice(i, i + size);
}
