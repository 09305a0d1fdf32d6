import { nowNanos } from '../../lib/time.ts';
import { readCpu, readCpuDetails } from './cgroup/cpu.ts';
import { readHugepages } from './cgroup/hugepages.ts';
import { readDevices } from './cgroup/io.ts';
import { readMemory, readMemoryDetails } from './cgroup/memory.ts';
import { readPressure } from './cgroup/pressure.ts';
import { readProcessDetails, readProcesses } from './cgroup/processes.ts';
import type { Cgroup } from './cgroup/trees.ts';

const READERS = {
  cpu: readCpu,
  cpuDetails: readCpuDetails,
  memory: readMemory,
  memoryDetails: readMemoryDetails,
  pressure: readPressure,
  processes: readProcesses,
  processDetails: readProcessDetails,
  devices: readDevices,
  hugepages: readHugepages,
} satisfies Record<string, (cgroup: Cgroup) => unknown>;

/** What can be read of a cgroup. */
export type Part = keyof typeof READERS;

/** What was read: the parts that were asked for and that the kernel has. */
export type Reading = {
  /** When, in nanoseconds since the epoch. */
  readonly at: bigint;
} & { readonly [P in Part]?: ReturnType<(typeof READERS)[P]> };

/** Reads these parts of a cgroup. One that vanishes meanwhile, or was never there, gives a reading without them. */
export function readCgroup(cgroup: Cgroup, parts: readonly Part[]): Reading {
  const at = nowNanos();
  return { at, ...Object.fromEntries(parts.map((part) => [part, READERS[part](cgroup)])) };
}
