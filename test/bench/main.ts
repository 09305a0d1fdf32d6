import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Cleanup } from '../helpers/cleanup.ts';
import type { TestDaemon } from '../helpers/daemon.ts';
import { residentKb } from './containerd.ts';
import { eventLoopDelay } from './event-loop.ts';
import { concurrently, empty, fill, operations, Samples } from './measure.ts';
import { clients, measureBareKernel, measureEndpoints, startContestants } from './suite.ts';
import type { Contestants, Name, Plan, Results } from './suite.ts';
import { budgetTable, columns, isMet, number } from './tables.ts';
import type { Budget } from './tables.ts';

const usage = `usage: npm run bench -- [--quick] [--pods N]
  --quick    fewer runs, and 50 sandboxes present instead of 500
  --pods N   so many sandboxes present in the second half`;

const titles: Readonly<Record<Name, string>> = {
  berth: 'berth',
  executables: 'berth, executables',
  containerd: 'containerd',
  bare: 'bare kernel',
};

// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP = 30;

/** Pods started and stopped while the event-loop delay is looked at. */
const PODS_FOR_DELAY = 200;

interface Measured {
  /** With no sandbox present. */
  readonly first: Results;
  /** With `present` sandboxes. */
  readonly second: Results;
  readonly present: number;
  /** Resident MB of the daemon. */
  readonly atStart: number;
  readonly filled: number;
  /** Milliseconds. */
  readonly lag: number;
  readonly recovered: number;
}

function say(text: string): void {
  console.log(text);
}

function resultTable(results: Results): string {
  const head = ['p50 in ms', ...[...results.keys()].map((name) => titles[name])];
  const rows = Object.values(operations).map((operation) => [
    operation,
    ...[...results.values()].map((samples) => number(samples.p50(operation))),
  ]);
  return columns([head, ...rows]).join('\n');
}

function ratio(results: Results, operation: string, of: Name, to: Name): number {
  return (results.get(of)?.p50(operation) ?? Number.NaN) / (results.get(to)?.p50(operation) ?? Number.NaN);
}

function residentMb(pid: number): number {
  return residentKb(pid) / 1024;
}

async function eventLoopDelayUnderLoad({ berth, berthNode }: Contestants): Promise<number> {
  // Asking begins a new period.
  await eventLoopDelay(berthNode);
  await concurrently(berth.client, new Samples(), PODS_FOR_DELAY);
  return eventLoopDelay(berthNode);
}

/** Milliseconds from the start of a new daemon, after kill -9, until it answers with all its sandboxes. */
async function recover(daemon: TestDaemon, present: number): Promise<number> {
  await daemon.kill();
  const start = performance.now();
  await daemon.start();
  const took = performance.now() - start;
  const ready = await daemon.client.list({ state: { state: 'SANDBOX_READY' } });
  if (ready.length !== present)
    throw new Error(`after kill -9 ${ready.length} of ${present} sandboxes are ready`);
  return took;
}

function budgets(
  first: Results,
  second: Results,
  memory: Memory,
  recovered: number,
  present: number,
): Budget[] {
  const { run, down, list } = operations;
  const against = "against containerd's CRI";
  const times = (what: string, measured: number, limit: number): Budget => ({
    what,
    measured,
    limit,
    unit: '×',
  });
  return [
    times(`RunPodSandbox, built-in plugins, ${against}`, ratio(first, run, 'berth', 'containerd'), 1 / 15),
    times(
      'RunPodSandbox, built-in plugins, against the bare kernel work',
      ratio(first, run, 'berth', 'bare'),
      3,
    ),
    times(
      `RunPodSandbox, plugin executables, ${against}`,
      ratio(first, run, 'executables', 'containerd'),
      1 / 3,
    ),
    times(`StopPodSandbox + RemovePodSandbox, ${against}`, ratio(first, down, 'berth', 'containerd'), 1 / 4),
    times(
      `ListPodSandbox with ${present} sandboxes, ${against}`,
      ratio(second, list, 'berth', 'containerd'),
      1,
    ),
    {
      what: `event-loop delay p99 while ${PODS_FOR_DELAY} pods start and stop`,
      measured: lag,
      limit: 20,
      unit: 'ms',
    },
    { what: `recovery of ${present} sandboxes after kill -9`, measured: recovered, limit: 1000, unit: 'ms' },
    { what: 'resident memory of the daemon at its start', measured: atStart, limit: 150, unit: 'MB' },
    { what: `resident memory with ${present} sandboxes`, measured: filled, limit: 230, unit: 'MB' },
  ];
}

async function measure(contestants: Contestants, plan: Plan, present: number): Promise<Budget[]> {
  const { berth, containerd } = contestants;
  const atStart = residentMb(berth.pid);
  say('warming up');
  await measureEndpoints(contestants, { ...plan, rounds: 1, perRound: WARM_UP });
  const first = await measureEndpoints(contestants, plan);
  first.set('bare', await measureBareKernel(plan));
  say(`\nwith no sandbox present\n${resultTable(first)}`);

  for (const [name, client] of clients(contestants)) {
    say(`\nmaking ${present} sandboxes: ${titles[name]}`);
    await fill(client, present);
  }
  const second = await measureEndpoints(contestants, plan);
  const filled = residentMb(berth.pid);
  say(`\nwith ${present} sandboxes present\n${resultTable(second)}`);
  say(
    `\nresident memory then, MB: berth ${number(filled)}, containerd and its shims ${number(containerd.residentKb() / 1024)}`,
  );
  say('\nevent-loop delay and recovery');
  const lag = await eventLoopDelayUnderLoad(contestants);
  const recovered = await recover(berth, present);
  say('\nremoving the sandboxes');
  for (const [, client] of clients(contestants)) await empty(client);
  return budgets({ first, second, atStart, filled, lag, recovered, present });
}

async function main(): Promise<number> {
  const options = {
    quick: { type: 'boolean' },
    pods: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help === true) {
    say(usage);
    return 0;
  }
  const quick = values.quick === true;
  const plan = quick ? { rounds: 3, perRound: 5, parallel: 10 } : { rounds: 10, perRound: 5, parallel: 20 };
  const present = values.pods === undefined ? (quick ? 50 : 500) : Number(values.pods);
  await using cleanup = new Cleanup();
  const rows = await measure(await startContestants(cleanup), plan, present);
  say(`\n${budgetTable(rows).join('\n')}`);
  return rows.every(isMet) ? 0 : 1;
}

process.exitCode = await main();
