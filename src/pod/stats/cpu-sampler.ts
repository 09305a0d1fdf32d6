import type { Logger } from '../../lib/log.ts';
import { messageOf } from '../../lib/errors.ts';
import { containerCgroupPath, podCgroupPath } from './cgroup/paths.ts';
import type { StatsReader } from './reader.ts';
import type { Reading } from './reading.ts';
import type { StatsSource } from './source.ts';

/** CPU time used at a moment, both in nanoseconds. */
interface Sample {
  readonly at: bigint;
  readonly usageNanos: bigint;
}

export interface SamplerSettings {
  readonly periodMs: number;
  /** How long after the last question sampling ends. */
  readonly idleMs: number;
}

const SETTINGS: SamplerSettings = { periodMs: 1_000, idleMs: 60_000 };
const SECOND = 1_000_000_000n;

/**
 * Samples the CPU time of all containers and pods once a second while somebody asks, so that a rate can be told at once. Keeps
 * two samples of each: the older one serves when the newer is too fresh to tell a rate from.
 */
export class CpuSampler {
  readonly #deps: { readonly source: StatsSource; readonly reader: StatsReader; readonly log: Logger };
  readonly #settings: SamplerSettings;
  #samples: ReadonlyMap<string, readonly Sample[]> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #lastAsked = 0;
  #sampling = false;

  constructor(
    deps: { readonly source: StatsSource; readonly reader: StatsReader; readonly log: Logger },
    settings: SamplerSettings = SETTINGS,
  ) {
    this.#deps = deps;
    this.#settings = settings;
  }

  /**
   * CPU time per second (nanoseconds) of a container or sandbox over the last period or two, up to this reading. undefined while
   * it cannot be told yet: kubelet then works it out by itself.
   */
  rate(id: string, { at, cpu }: Reading): bigint | undefined {
    this.#asked();
    if (cpu === undefined) return undefined;
    const enough = BigInt(this.#settings.periodMs) * 500_000n;
    const since = this.#samples.get(id)?.find((sample) => at - sample.at >= enough);
    if (since === undefined || cpu.usageNanos < since.usageNanos) return undefined;
    return ((cpu.usageNanos - since.usageNanos) * SECOND) / (at - since.at);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#samples = new Map();
  }

  #asked(): void {
    this.#lastAsked = performance.now();
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tick(), this.#settings.periodMs).unref();
    this.#tick();
  }

  #tick(): void {
    if (performance.now() - this.#lastAsked > this.#settings.idleMs) this.stop();
    else if (!this.#sampling) void this.#sample();
  }

  async #sample(): Promise<void> {
    const { source, reader, log } = this.#deps;
    this.#sampling = true;
    try {
      const targets = cpuTargets(source);
      const readings = await reader.cgroups([...targets.values()], ['cpu']);
      if (this.#timer !== undefined) this.#keep([...targets.keys()], readings);
    } catch (error) {
      log.debug('failed to sample CPU usage', { error: messageOf(error) });
    } finally {
      this.#sampling = false;
    }
  }

  /** What is not among these has gone. Newest samples first. */
  #keep(ids: readonly string[], readings: readonly Reading[]): void {
    const samples = new Map<string, readonly Sample[]>();
    for (const [i, id] of ids.entries()) {
      const reading = readings[i];
      if (reading?.cpu === undefined) continue;
      const [newest] = this.#samples.get(id) ?? [];
      const sample = { at: reading.at, usageNanos: reading.cpu.usageNanos };
      samples.set(id, newest === undefined ? [sample] : [sample, newest]);
    }
    this.#samples = samples;
  }
}

/** The cgroup of everything that runs, by id; what shims tell is not sampled. */
function cpuTargets(source: StatsSource): Map<string, string> {
  const running = source.containers().filter((container) => container.running && !container.toldByShim);
  const pods = source.sandboxes().filter(({ ready, cgroupParent }) => ready && cgroupParent !== '');
  return new Map([
    ...running.map(({ id, cgroupsPath }) => [id, containerCgroupPath(cgroupsPath)] as const),
    ...pods.map(({ id, cgroupParent }) => [id, podCgroupPath(cgroupParent)] as const),
  ]);
}
