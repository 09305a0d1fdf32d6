import { performance } from 'node:perf_hooks';
import { Cleanup } from '../helpers/cleanup.ts';
import type { TestDaemon } from '../helpers/daemon.ts';
import { budgets } from './budgets.ts';
import type { Budget } from './budgets.ts';
import { residentKb } from './containerd.ts';
import { eventLoopDelay } from './event-loop.ts';
import { concurrently, empty, fill, Samples } from './measure.ts';
import { say, type Scale } from './section.ts';
import { clients, measureAll, startContestants } from './suite.ts';
import type { Contestants, Plan } from './suite.ts';
import { number, resultTable, titles } from './tables.ts';

// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP_PODS = 30;
/** kubelet asks for as many in some minutes. */
const WARM_UP_LISTS = 500;

const PODS_FOR_DELAY = 200;

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
  for (const [, client] of clients(contestants))
    for (let i = 0; i < WARM_UP_LISTS; i += 1) await client.list();
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

/** The rows about sandboxes alone. */
export async function measureSandboxes({ quick, pods }: Scale): Promise<Budget[]> {
  const plan = quick ? { rounds: 3, perRound: 5, parallel: 10 } : { rounds: 10, perRound: 5, parallel: 20 };
  await using cleanup = new Cleanup();
  return await measure(await startContestants(cleanup), plan, pods);
}
