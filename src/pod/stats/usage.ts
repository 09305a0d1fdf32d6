import type { CpuReading } from './cgroup/cpu.ts';
import type { MemoryReading } from './cgroup/memory.ts';
import type { ProcessReading } from './cgroup/processes.ts';
import type { InterfaceReading } from './interfaces.ts';
import type { Reading } from './reading.ts';
import type { MeasuredContainer, MeasuredSandbox } from './source.ts';
import type { MeasuredLayer } from './written-layers.ts';

/** What a container uses. */
export interface ContainerUsage {
  readonly container: MeasuredContainer;
  readonly reading: Reading;
  /** CPU time per second, in nanoseconds; undefined while it cannot be told. */
  readonly nanoCores: bigint | undefined;
  /** undefined until it is measured. */
  readonly layer: MeasuredLayer | undefined;
}

/** What a pod uses. */
export interface PodUsage {
  readonly sandbox: MeasuredSandbox;
  /** Of the pod's own cgroup; the sum over its containers when it has none. */
  readonly reading: Pick<Reading, 'at' | 'pressure'> & {
    readonly cpu?: CpuReading | undefined;
    readonly memory?: PodMemory | undefined;
    readonly processes?: ProcessReading | undefined;
  };
  readonly nanoCores: bigint | undefined;
  /** undefined in the node's network namespace. */
  readonly interfaces: readonly InterfaceReading[] | undefined;
  readonly containers: readonly ContainerUsage[];
}

export type PodMemory = Pick<
  MemoryReading,
  'usage' | 'workingSet' | 'limit' | 'rss' | 'pageFaults' | 'majorPageFaults'
>;

/** True when the cgroup that was read had gone. */
export function hasGone({ cpu, memory }: Reading): boolean {
  return cpu === undefined && memory === undefined;
}

/** What containers use together; the parts that none of them has are absent. */
export function sumOf(
  containers: readonly ContainerUsage[],
  at: bigint,
): Pick<PodUsage, 'reading' | 'nanoCores'> {
  const cpu = present(containers.map(({ reading }) => reading.cpu));
  const memory = present(containers.map(({ reading }) => reading.memory));
  const processes = present(containers.map(({ reading }) => reading.processes));
  const rates = present(containers.map(({ nanoCores }) => nanoCores));
  return {
    reading: {
      at,
      cpu: cpu.length === 0 ? undefined : { usageNanos: total(cpu, (each) => each.usageNanos) },
      memory: memory.length === 0 ? undefined : sumOfMemory(memory),
      processes:
        processes.length === 0 ? undefined : { processes: total(processes, (each) => each.processes) },
    },
    nanoCores:
      rates.length === containers.length && rates.length > 0 ? total(rates, (each) => each) : undefined,
  };
}

function sumOfMemory(all: readonly MemoryReading[]): PodMemory {
  return {
    usage: total(all, ({ usage }) => usage),
    workingSet: total(all, ({ workingSet }) => workingSet),
    limit: all.some(({ limit }) => limit === undefined) ? undefined : total(all, ({ limit }) => limit ?? 0n),
    rss: total(all, ({ rss }) => rss),
    pageFaults: total(all, ({ pageFaults }) => pageFaults),
    majorPageFaults: total(all, ({ majorPageFaults }) => majorPageFaults),
  };
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}

function total<T>(values: readonly T[], of: (value: T) => bigint): bigint {
  return values.reduce((sum, value) => sum + of(value), 0n);
}
