import { join } from 'node:path';
import { readCount, readPairs, readText, toCount } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** CPU time since the cgroup was made, over all CPUs. */
export interface CpuReading {
  readonly usageNanos: bigint;
}

/** undefined when there is no such cgroup. */
export function readCpu(cgroup: Cgroup): CpuReading | undefined {
  const at = directoryOf(cgroup, 'cpuacct');
  if (at === undefined) return undefined;
  const usageNanos =
    at.version === 1
      ? readCount(join(at.directory, 'cpuacct.usage'))
      : nanos(readPairs(join(at.directory, 'cpu.stat'))?.get('usage_usec'));
  return usageNanos === undefined ? undefined : { usageNanos };
}

/** How the CPU time was spent, and what limits it. Absent is what the kernel does not count or limit. */
export interface CpuDetails {
  readonly userNanos: bigint | undefined;
  readonly systemNanos: bigint | undefined;
  readonly periods: bigint | undefined;
  readonly throttledPeriods: bigint | undefined;
  readonly throttledNanos: bigint | undefined;
  readonly shares: bigint | undefined;
  readonly periodMicros: bigint | undefined;
  readonly quotaMicros: bigint | undefined;
}

export function readCpuDetails(cgroup: Cgroup): CpuDetails {
  return cgroup.trees.cpu?.version === 2 ? detailsV2(cgroup) : detailsV1(cgroup);
}

function detailsV1(cgroup: Cgroup): CpuDetails {
  const acct = directoryOf(cgroup, 'cpuacct')?.directory ?? '';
  const cpu = directoryOf(cgroup, 'cpu')?.directory ?? '';
  const stat = readPairs(join(cpu, 'cpu.stat'));
  return {
    userNanos: readCount(join(acct, 'cpuacct.usage_user')),
    systemNanos: readCount(join(acct, 'cpuacct.usage_sys')),
    periods: stat?.get('nr_periods'),
    throttledPeriods: stat?.get('nr_throttled'),
    throttledNanos: stat?.get('throttled_time'),
    shares: readCount(join(cpu, 'cpu.shares')),
    periodMicros: readCount(join(cpu, 'cpu.cfs_period_us')),
    quotaMicros: readCount(join(cpu, 'cpu.cfs_quota_us')),
  };
}

function detailsV2(cgroup: Cgroup): CpuDetails {
  const directory = directoryOf(cgroup, 'cpu')?.directory ?? '';
  const stat = readPairs(join(directory, 'cpu.stat'));
  const [quota, period] = (readText(join(directory, 'cpu.max')) ?? '').trim().split(' ');
  return {
    userNanos: nanos(stat?.get('user_usec')),
    systemNanos: nanos(stat?.get('system_usec')),
    periods: stat?.get('nr_periods'),
    throttledPeriods: stat?.get('nr_throttled'),
    throttledNanos: nanos(stat?.get('throttled_usec')),
    shares: sharesOfWeight(readCount(join(directory, 'cpu.weight'))),
    periodMicros: toCount(period),
    quotaMicros: toCount(quota),
  };
}

/** The shares (2 to 262144) that the OCI runtimes turn into this weight (1 to 10000), on a straight line. */
function sharesOfWeight(weight: bigint | undefined): bigint | undefined {
  return weight === undefined ? undefined : 2n + ((weight - 1n) * 262_142n) / 9_999n;
}

function nanos(micros: bigint | undefined): bigint | undefined {
  return micros === undefined ? undefined : micros * 1_000n;
}
