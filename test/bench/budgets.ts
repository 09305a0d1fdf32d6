import { operations } from './measure.ts';
import type { Name, Results } from './suite.ts';

/** One row of the budget table: what was measured, and what it may be at most. */
export interface Budget {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: '×' | 'ms' | 'MB';
}

/** All that the rows are made from. */
export interface Measured {
  /** With no sandbox present. */
  readonly first: Results;
  /** With `present` sandboxes. */
  readonly second: Results;
  readonly present: number;
  /** Resident MB of the daemon, at its start and with `present` sandboxes. */
  readonly atStart: number;
  readonly filled: number;
  /** Event-loop delay under load, in milliseconds. */
  readonly delay: number;
  /** Milliseconds from the start of a new daemon until it serves `present` sandboxes. */
  readonly recovery: number;
}

/** The rows of the design's table that concern sandboxes. */
export function budgets({ first, second, present, atStart, filled, delay, recovery }: Measured): Budget[] {
  const { run, down, list } = operations;
  const cri = "against containerd's CRI";
  return [
    times(`RunPodSandbox, built-in plugins, ${cri}`, ratio(first, run, 'berth', 'containerd'), 1 / 15),
    times('RunPodSandbox, built-in plugins, against the bare kernel', ratio(first, run, 'berth', 'bare'), 3),
    times(`RunPodSandbox, plugin executables, ${cri}`, ratio(first, run, 'executables', 'containerd'), 1 / 3),
    times(`StopPodSandbox + RemovePodSandbox, ${cri}`, ratio(first, down, 'berth', 'containerd'), 1 / 4),
    times(`ListPodSandbox of ${present}, ${cri}`, ratio(second, list, 'berth', 'containerd'), 1),
    { what: 'event-loop delay p99 while 200 pods start and stop', measured: delay, limit: 20, unit: 'ms' },
    { what: `recovery of ${present} sandboxes after kill -9`, measured: recovery, limit: 1000, unit: 'ms' },
    { what: 'resident memory of the daemon at its start', measured: atStart, limit: 150, unit: 'MB' },
    { what: `resident memory with ${present} sandboxes`, measured: filled, limit: 230, unit: 'MB' },
  ];
}

/** What was not measured (NaN) is not met. */
export function isMet({ measured, limit }: Budget): boolean {
  return measured <= limit;
}

function times(what: string, measured: number, limit: number): Budget {
  return { what, measured, limit, unit: '×' };
}

function ratio(results: Results, operation: string, of: Name, to: Name): number {
  return p50(results, of, operation) / p50(results, to, operation);
}

function p50(results: Results, name: Name, operation: string): number {
  return results.get(name)?.p50(operation) ?? Number.NaN;
}
