import { join } from 'node:path';
import { readText } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** How long tasks waited for a resource. */
export interface Stall {
  readonly totalNanos: bigint;
  /** Per cent of the time, over so many seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** `some`: at least one task waited; `full`: all did. */
export interface Pressure {
  readonly some: Stall | undefined;
  readonly full: Stall | undefined;
}

/** By resource; absent with v1, and when the kernel was started without psi. */
export interface PressureReading {
  readonly cpu: Pressure | undefined;
  readonly memory: Pressure | undefined;
  readonly io: Pressure | undefined;
}

/** undefined when no resource has any. */
export function readPressure(cgroup: Cgroup): PressureReading | undefined {
  const directory = directoryOf(cgroup, 'pressure')?.directory;
  if (directory === undefined) return undefined;
  const [cpu, memory, io] = ['cpu', 'memory', 'io'].map((resource) => {
    const text = readText(join(directory, `${resource}.pressure`));
    return text === undefined ? undefined : parsePressure(text);
  });
  return cpu === undefined && memory === undefined && io === undefined ? undefined : { cpu, memory, io };
}

/** Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, the total in microseconds. */
export function parsePressure(text: string): Pressure {
  const stalls = new Map<string, Stall>();
  for (const line of text.split('\n')) {
    const [kind = '', ...fields] = line.split(' ');
    const values = new Map(fields.map((field) => field.split('=') as [string, string]));
    const total = values.get('total');
    if (total === undefined) continue;
    const [avg10 = 0, avg60 = 0, avg300 = 0] = ['avg10', 'avg60', 'avg300'].map((name) =>
      Number(values.get(name) ?? 0),
    );
    stalls.set(kind, { totalNanos: BigInt(total) * 1_000n, avg10, avg60, avg300 });
  }
  return { some: stalls.get('some'), full: stalls.get('full') };
}
