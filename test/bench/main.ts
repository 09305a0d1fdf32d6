import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Cleanup } from '../helpers/cleanup.ts';
import type { TestDaemon } from '../helpers/daemon.ts';
import { budgets, isMet } from './budgets.ts';
import type { Budget } from './budgets.ts';
import { residentKb } from './containerd.ts';
import { eventLoopDelay } from './event-loop.ts';
import { concurrently, empty, fill, Samples } from './measure.ts';
import { clients, measureAll, startContestants } from './suite.ts';
import type { Contestants, Plan } from './suite.ts';
import { budgetTable, number, resultTable, titles } from './tables.ts';

const usage = `usage: npm run bench -- [--quick] [--pods N]
  --quick    fewer runs, and 50 sandboxes present instead of 500
  --pods N   so many sandboxes present in the second half
Exits with 0 if all budgets are met.`;

// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP_PODS = 30;

const PODS_FOR_DELAY = 200;

function say(text: string): void {
  console.log(text);
}

function residentMb(pid: number): number {
  return residentKb(pid) / 1024;
}

async function delayUnderLoad({ berth, berthNode }: Contestants): Promise<number> {
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

async function measure(contestants: Contestants, plan: Plan, present: number): Promise<Budget[]> {
  const { berth, containerd } = contestants;
  const atStart = residentMb(berth.pid);
  say('warming up');
  await measureAll(contestants, { ...plan, rounds: 1, perRound: WARM_UP_PODS });
  const first = await measureAll(contestants, plan);
  say(`\nwith no sandbox present\n${resultTable(first)}\n`);

  for (const [name, client] of clients(contestants)) {
    say(`making ${present} sandboxes: ${titles[name]}`);
    await fill(client, present);
  }
  const second = await measureAll(contestants, plan);
  const filled = residentMb(berth.pid);
  say(`\nwith ${present} sandboxes present\n${resultTable(second)}`);
  say(
    `resident MB: berth ${number(filled)}, containerd and shims ${number(containerd.residentKb() / 1024)}\n`,
  );

  say('event-loop delay and recovery');
  const delay = await delayUnderLoad(contestants);
  const recovery = await recover(berth, present);
  say('removing the sandboxes');
  for (const [, client] of clients(contestants)) await empty(client);
  return budgets({ first, second, present, atStart, filled, delay, recovery });
}

function planOf(values: { quick?: boolean; pods?: string }): { plan: Plan; present: number } {
  const quick = values.quick === true;
  const present = values.pods === undefined ? (quick ? 50 : 500) : Number(values.pods);
  if (!Number.isInteger(present) || present < 1) throw new Error('--pods needs a positive number');
  return {
    plan: quick ? { rounds: 3, perRound: 5, parallel: 10 } : { rounds: 10, perRound: 5, parallel: 20 },
    present,
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, pods: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    say(usage);
    return 0;
  }
  const { plan, present } = planOf(values);
  await using cleanup = new Cleanup();
  const rows = await measure(await startContestants(cleanup), plan, present);
  say(`\n${budgetTable(rows)}`);
  return rows.every(isMet) ? 0 : 1;
}

process.exitCode = await main();
