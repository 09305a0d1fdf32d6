import type { ContainerdApi } from '../../containerd/api.ts';
import type { TaskMetric } from '../../containerd/tasks.ts';
import { fromMessageAny } from '../../containerd/typeurl.ts';
import type { Metrics__Output as MetricsV1 } from '../../gen/io/containerd/cgroups/v1/Metrics.ts';
import type { Metrics__Output as MetricsV2 } from '../../gen/io/containerd/cgroups/v2/Metrics.ts';
import type { EngineUsage } from './engine.ts';

/** Larger ones mean that there is none; so does 0, of a shim that does not tell it. */
const LIMIT_MOST = 1n << 62n;

/** What a task uses, from what its shim tells in terms of cgroups; undefined when it tells nothing that is known. */
export function usageOf(
  { io }: Pick<ContainerdApi, 'io'>,
  { at, data }: Pick<TaskMetric, 'at' | 'data'>,
): EngineUsage | undefined {
  if (data === undefined) return undefined;
  const { v1, v2 } = io.containerd.cgroups;
  const first = fromMessageAny('io.containerd.cgroups.v1.Metrics', v1.Metrics, data);
  if (first !== undefined) return { at, ...usageV1(first) };
  const second = fromMessageAny('io.containerd.cgroups.v2.Metrics', v2.Metrics, data);
  return second === undefined ? undefined : { at, ...usageV2(second) };
}

function usageV1({ cpu, memory, pids }: MetricsV1): Omit<EngineUsage, 'at'> {
  return {
    cpu: cpu?.usage ? { usageNanos: BigInt(cpu.usage.total) } : undefined,
    memory: memory?.usage
      ? {
          ...used(memory.usage.usage, memory.totalInactiveFile, memory.usage.limit),
          rss: BigInt(memory.totalRss),
          cache: BigInt(memory.totalCache),
          mappedFile: BigInt(memory.totalMappedFile),
          activeFile: BigInt(memory.totalActiveFile),
          pageFaults: BigInt(memory.totalPgFault),
          majorPageFaults: BigInt(memory.totalPgMajFault),
          ownPageFaults: BigInt(memory.pgFault),
          ownMajorPageFaults: BigInt(memory.pgMajFault),
        }
      : undefined,
    processes: processes(pids),
  };
}

function usageV2({ cpu, memory, pids }: MetricsV2): Omit<EngineUsage, 'at'> {
  return {
    cpu: cpu ? { usageNanos: BigInt(cpu.usageUsec) * 1_000n } : undefined,
    memory: memory
      ? {
          ...used(memory.usage, memory.inactiveFile, memory.usageLimit),
          rss: BigInt(memory.anon),
          cache: BigInt(memory.file),
          mappedFile: BigInt(memory.fileMapped),
          activeFile: BigInt(memory.activeFile),
          pageFaults: BigInt(memory.pgfault),
          majorPageFaults: BigInt(memory.pgmajfault),
          ownPageFaults: BigInt(memory.pgfault),
          ownMajorPageFaults: BigInt(memory.pgmajfault),
        }
      : undefined,
    processes: processes(pids),
  };
}

type Used = Pick<
  NonNullable<EngineUsage['memory']>,
  'usage' | 'inactiveFile' | 'workingSet' | 'limit' | 'swap'
>;

function used(usageText: string, inactiveText: string, limitText: string): Used {
  const [usage, inactiveFile, limit] = [BigInt(usageText), BigInt(inactiveText), BigInt(limitText)];
  return {
    usage,
    inactiveFile,
    workingSet: usage > inactiveFile ? usage - inactiveFile : 0n,
    limit: limit === 0n || limit > LIMIT_MOST ? undefined : limit,
    swap: undefined,
  };
}

/** Threads are counted: no shim tells processes. */
function processes(pids: MetricsV1['pids']): EngineUsage['processes'] {
  return pids ? { processes: BigInt(pids.current) } : undefined;
}
