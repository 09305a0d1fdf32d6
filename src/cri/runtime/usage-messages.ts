/** Readings of a cgroup as the CRI's messages; null for what the kernel did not tell. */
import type { CpuUsage } from '../../gen/runtime/v1/CpuUsage.ts';
import type { IoUsage } from '../../gen/runtime/v1/IoUsage.ts';
import type { MemoryUsage } from '../../gen/runtime/v1/MemoryUsage.ts';
import type { PsiData } from '../../gen/runtime/v1/PsiData.ts';
import type { PsiStats } from '../../gen/runtime/v1/PsiStats.ts';
import type { SwapUsage } from '../../gen/runtime/v1/SwapUsage.ts';
import type { UInt64Value } from '../../gen/runtime/v1/UInt64Value.ts';
import type { Pressure, Stall } from '../../pod/stats/cgroup/pressure.ts';
import type { Reading } from '../../pod/stats/reading.ts';
import type { PodUsage } from '../../pod/stats/usage.ts';

/** Of a container or of a pod. */
type AnyReading = PodUsage['reading'];

export function uint64(value: bigint | undefined): UInt64Value | null {
  return value === undefined ? null : { value: value.toString() };
}

export function cpuMessage(
  { at, cpu, pressure }: AnyReading,
  nanoCores: bigint | undefined,
): CpuUsage | null {
  if (cpu === undefined) return null;
  return {
    timestamp: at.toString(),
    usageCoreNanoSeconds: uint64(cpu.usageNanos),
    usageNanoCores: uint64(nanoCores),
    psi: psiMessage(pressure?.cpu),
  };
}

export function memoryMessage({ at, memory, pressure }: AnyReading): MemoryUsage | null {
  if (memory === undefined) return null;
  const { usage, workingSet, limit, rss, pageFaults, majorPageFaults } = memory;
  return {
    timestamp: at.toString(),
    workingSetBytes: uint64(workingSet),
    availableBytes: uint64(leftOf(limit, workingSet)),
    usageBytes: uint64(usage),
    rssBytes: uint64(rss),
    pageFaults: uint64(pageFaults),
    majorPageFaults: uint64(majorPageFaults),
    psi: psiMessage(pressure?.memory),
  };
}

export function swapMessage({ at, memory }: Reading): SwapUsage | null {
  if (memory?.swap === undefined) return null;
  const { usage, limit } = memory.swap;
  return {
    timestamp: at.toString(),
    swapAvailableBytes: uint64(leftOf(limit, usage)),
    swapUsageBytes: uint64(usage),
  };
}

export function ioMessage({ at, pressure }: AnyReading): IoUsage | null {
  if (pressure?.io === undefined) return null;
  return { timestamp: at.toString(), psi: psiMessage(pressure.io) };
}

/** Absent without a limit. */
function leftOf(limit: bigint | undefined, used: bigint): bigint | undefined {
  if (limit === undefined) return undefined;
  return limit > used ? limit - used : 0n;
}

function psiMessage(pressure: Pressure | undefined): PsiStats | null {
  if (pressure === undefined) return null;
  return { Full: stallMessage(pressure.full), Some: stallMessage(pressure.some) };
}

function stallMessage(stall: Stall | undefined): PsiData | null {
  if (stall === undefined) return null;
  const { totalNanos, avg10, avg60, avg300 } = stall;
  return { Total: totalNanos.toString(), Avg10: avg10, Avg60: avg60, Avg300: avg300 };
}
