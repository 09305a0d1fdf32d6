import { Cleanup } from '../../helpers/cleanup.ts';
import type { Budget } from '../budgets.ts';
import { empty, Samples, settle } from '../measure.ts';
import { type Scale, say } from '../section.ts';
import { scratchDirectory } from '../suite.ts';
import { columns, number } from '../tables.ts';
import { type Contestant, residentMb, type Runner, startContestants } from './contestants.ts';
import { logThroughput, writeLines } from './log-throughput.ts';
import { fill, lists, operations, sequentially } from './measure.ts';

interface Plan {
  /** How often the contestants are gone through. */
  readonly rounds: number;
  /** Pods one after the other in each round. */
  readonly perRound: number;
  /** How often `together` pods are started ten at a time. */
  readonly waves: number;
  readonly together: number;
  readonly logMegabytes: number;
  readonly lists: number;
}

const full: Plan = { rounds: 5, perRound: 5, waves: 3, together: 100, logMegabytes: 128, lists: 20 };
const quick: Plan = { rounds: 2, perRound: 4, waves: 1, together: 30, logMegabytes: 64, lists: 20 };

// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP_PODS = 10;
const WARM_UP_LISTS = 200;

type Results = ReadonlyMap<Runner, Samples>;

interface Memory {
  readonly pods: number;
  readonly name: Runner;
  /** Resident MB of the process that answers kubelet, and of all that runs beside the containers. */
  readonly daemon: number;
  readonly all: number;
}

/** The rows about pods with containers, against containerd's own CRI on the same containerd and OCI runtime. */
export async function measureContainers({ quick: isQuick, pods }: Scale): Promise<Budget[]> {
  const plan = isQuick ? quick : full;
  await using cleanup = new Cleanup();
  const contestants = await startContestants(cleanup);
  const results: Results = new Map(contestants.map(({ name }) => [name, new Samples()]));
  const memory: Memory[] = [];
  const each = async (act: (contestant: Contestant, samples: Samples) => Promise<void>): Promise<void> => {
    for (const contestant of contestants)
      await act(contestant, results.get(contestant.name) ?? new Samples());
  };
  const note = (count: number): void => {
    for (const { name, processes } of contestants) {
      const [daemon = 0, ...others] = processes();
      memory.push({ pods: count, name, daemon: residentMb([daemon]), all: residentMb([daemon, ...others]) });
    }
  };

  note(0);
  say('warming up');
  await each((contestant) => sequentially(contestant, new Samples(), WARM_UP_PODS));
  for (let round = 0; round < plan.rounds; round += 1)
    await each((contestant, samples) => sequentially(contestant, samples, plan.perRound));

  const lines = await writeLines(await scratchDirectory(cleanup, '/dev/shm'), plan.logMegabytes);
  say(`container logs of ${plan.logMegabytes} MiB`);
  await each((contestant) => logThroughput(contestant, new Samples(), lines));
  for (let round = 0; round < plan.rounds; round += 1)
    await each((contestant, samples) => logThroughput(contestant, samples, lines));

  say(`${plan.together} pods with a container, 10 at a time`);
  for (let wave = 0; wave < plan.waves; wave += 1) {
    await each(async (contestant, samples) => {
      await samples.time(operations.wall, () => fill(contestant, plan.together));
      // The last stays, for what follows.
      if (wave < plan.waves - 1) await empty(contestant.client.cri);
      await settle();
    });
  }
  note(plan.together);
  const more = Math.max(0, pods - plan.together);
  say(`${more} more`);
  await each((contestant) => fill(contestant, more));
  note(plan.together + more);
  await each((contestant) => lists(contestant, new Samples(), WARM_UP_LISTS));
  for (let round = 0; round < plan.rounds; round += 1)
    await each((contestant, samples) => lists(contestant, samples, plan.lists));

  say(`\n${resultTable(results)}\n\n${memoryTable(memory)}\n`);
  say('removing the pods');
  await each(({ client }) => empty(client.cri));
  return budgets(results, plan, plan.together + more);
}

function budgets(results: Results, { together }: Plan, present: number): Budget[] {
  const cri = "against containerd's CRI";
  const { up, wall, lists: both, log } = operations;
  const row = (what: string, operation: string, limit: number): Budget => ({
    what: `${what}, ${cri}`,
    measured: p50(results, 'berth', operation) / p50(results, 'containerd', operation),
    limit,
    unit: '×',
  });
  return [
    row('pod up with a container', up, 0.65),
    row(`${together} pods with a container, 10 at a time`, wall, 0.6),
    row(`ListPodSandbox + ListContainers of ${present}`, both, 1),
    row('time to log a container’s output', log, 1),
  ];
}

function p50(results: Results, name: Runner, operation: string): number {
  return results.get(name)?.p50(operation) ?? Number.NaN;
}

function resultTable(results: Results): string {
  const head = ['p50 in ms', ...results.keys(), ''];
  const rows = Object.values(operations).map((operation) => {
    const [berth, containerd] = [p50(results, 'berth', operation), p50(results, 'containerd', operation)];
    return [operation, number(berth), number(containerd), `${number(berth / containerd)} ×`];
  });
  return columns([head, ...rows]);
}

function memoryTable(memory: readonly Memory[]): string {
  const head = ['resident MB', 'daemon', 'with its containerd and shims'];
  const rows = memory.map(({ pods, name, daemon, all }) => [
    `${name}, ${pods} pods`,
    number(daemon),
    number(all),
  ]);
  return columns([head, ...rows]);
}
