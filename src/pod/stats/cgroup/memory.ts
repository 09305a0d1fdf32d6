import { join } from 'node:path';
import { readCount, readLimit, readPairs } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** Bytes, of the cgroup and all below it. A limit is absent when there is none. */
export interface MemoryReading {
  readonly usage: bigint;
  readonly workingSet: bigint;
  readonly limit: bigint | undefined;
  readonly rss: bigint;
  /** Page cache. */
  readonly cache: bigint;
  readonly mappedFile: bigint;
  readonly activeFile: bigint;
  readonly inactiveFile: bigint;
  readonly pageFaults: bigint;
  readonly majorPageFaults: bigint;
  /** Of this cgroup alone; v2 counts only with those below. */
  readonly ownPageFaults: bigint;
  readonly ownMajorPageFaults: bigint;
  /** Absent where swap is not accounted. */
  readonly swap: { readonly usage: bigint; readonly limit: bigint | undefined } | undefined;
}

/** undefined when there is no such cgroup. */
export function readMemory(cgroup: Cgroup): MemoryReading | undefined {
  const at = directoryOf(cgroup, 'memory');
  if (at === undefined) return undefined;
  return at.version === 1 ? readV1(at.directory) : readV2(at.directory);
}

function readV1(directory: string): MemoryReading | undefined {
  const usage = readCount(join(directory, 'memory.usage_in_bytes'));
  const stat = readPairs(join(directory, 'memory.stat'));
  if (usage === undefined || stat === undefined) return undefined;
  const count = (name: string): bigint => stat.get(name) ?? 0n;
  const limit = readLimit(join(directory, 'memory.limit_in_bytes'));
  return {
    usage,
    workingSet: atLeastZero(usage - count('total_inactive_file')),
    limit,
    rss: count('total_rss'),
    cache: count('total_cache'),
    mappedFile: count('total_mapped_file'),
    activeFile: count('total_active_file'),
    inactiveFile: count('total_inactive_file'),
    pageFaults: count('total_pgfault'),
    majorPageFaults: count('total_pgmajfault'),
    ownPageFaults: count('pgfault'),
    ownMajorPageFaults: count('pgmajfault'),
    swap: swapV1(directory, stat.get('total_swap'), limit),
  };
}

/** v1 limits memory and swap together. */
function swapV1(
  directory: string,
  usage: bigint | undefined,
  memoryLimit: bigint | undefined,
): MemoryReading['swap'] {
  if (usage === undefined) return undefined;
  const both = readLimit(join(directory, 'memory.memsw.limit_in_bytes'));
  const limit = both === undefined || memoryLimit === undefined ? undefined : atLeastZero(both - memoryLimit);
  return { usage, limit };
}

function readV2(directory: string): MemoryReading | undefined {
  const usage = readCount(join(directory, 'memory.current'));
  const stat = readPairs(join(directory, 'memory.stat'));
  if (usage === undefined || stat === undefined) return undefined;
  const count = (name: string): bigint => stat.get(name) ?? 0n;
  const swap = readCount(join(directory, 'memory.swap.current'));
  return {
    usage,
    workingSet: atLeastZero(usage - count('inactive_file')),
    limit: readLimit(join(directory, 'memory.max')),
    rss: count('anon'),
    cache: count('file'),
    mappedFile: count('file_mapped'),
    activeFile: count('active_file'),
    inactiveFile: count('inactive_file'),
    pageFaults: count('pgfault'),
    majorPageFaults: count('pgmajfault'),
    ownPageFaults: count('pgfault'),
    ownMajorPageFaults: count('pgmajfault'),
    swap:
      swap === undefined ? undefined : { usage: swap, limit: readLimit(join(directory, 'memory.swap.max')) },
  };
}

/** What the metrics show beyond the usage. Absent is what this kernel does not tell. */
export interface MemoryDetails {
  readonly kernel: bigint | undefined;
  /** The most that was ever in use. */
  readonly peak: bigint | undefined;
  /** How often the limit was hit. */
  readonly failures: bigint | undefined;
  readonly oomKills: bigint | undefined;
  /** What is kept for it when memory is short. */
  readonly reservation: bigint | undefined;
  /** v1: memory and swap together; v2: swap alone. */
  readonly swapLimit: bigint | undefined;
}

/** How many processes of this cgroup the kernel has killed because memory ran out; undefined where it does not tell, or is gone. */
export function readOomKills(cgroup: Cgroup): bigint | undefined {
  const at = directoryOf(cgroup, 'memory');
  if (at === undefined) return undefined;
  const file = at.version === 1 ? 'memory.oom_control' : 'memory.events';
  return readPairs(join(at.directory, file))?.get('oom_kill');
}

export function readMemoryDetails(cgroup: Cgroup): MemoryDetails | undefined {
  const at = directoryOf(cgroup, 'memory');
  if (at === undefined) return undefined;
  return at.version === 1 ? detailsV1(at.directory) : detailsV2(at.directory);
}

function detailsV1(directory: string): MemoryDetails {
  return {
    kernel: readCount(join(directory, 'memory.kmem.usage_in_bytes')),
    peak: readCount(join(directory, 'memory.max_usage_in_bytes')),
    failures: readCount(join(directory, 'memory.failcnt')),
    oomKills: readPairs(join(directory, 'memory.oom_control'))?.get('oom_kill'),
    reservation: readLimit(join(directory, 'memory.soft_limit_in_bytes')),
    swapLimit: readLimit(join(directory, 'memory.memsw.limit_in_bytes')),
  };
}

function detailsV2(directory: string): MemoryDetails {
  const events = readPairs(join(directory, 'memory.events'));
  return {
    kernel: readPairs(join(directory, 'memory.stat'))?.get('kernel'),
    peak: readCount(join(directory, 'memory.peak')),
    failures: events?.get('max'),
    oomKills: events?.get('oom_kill'),
    reservation: readLimit(join(directory, 'memory.low')),
    swapLimit: readLimit(join(directory, 'memory.swap.max')),
  };
}

function atLeastZero(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
