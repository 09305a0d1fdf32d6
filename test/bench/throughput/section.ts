/** What a pod's traffic gets through the links that plugins made: by Berth's in-process ones and by Debian's executables. */
import { join } from 'node:path';
import { Cleanup } from '../../helpers/cleanup.ts';
import { Scratch } from '../../helpers/fixture.ts';
import type { Form } from '../../helpers/plugin-process.ts';
import type { Budget } from '../budgets.ts';
import { Samples } from '../measure.ts';
import { say, type Scale } from '../section.ts';
import { columns, number } from '../tables.ts';
import { throughput } from './iperf.ts';
import { onOneBridge, overVxlan, type Pair, type Surroundings } from './topology.ts';

/** The links are the same, so the rates are: what the medians of interleaved runs differ by is noise. */
const LIMIT = 1.15;

const FULL = { rounds: 11, seconds: 2 };
const QUICK = { rounds: 7, seconds: 1 };

const contestants: readonly Form[] = ['in-process', 'reference'];
const cases: Readonly<Record<string, (surroundings: Surroundings) => Promise<Pair>>> = {
  'pod to pod over a bridge': onOneBridge,
  'pod to pod over VXLAN, two nodes': overVxlan,
};

/** Both contestants' pods are there at once and take turns, each beginning every other round: what else the machine does meets both. */
async function measure(
  connect: (surroundings: Surroundings) => Promise<Pair>,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Samples> {
  await using cleanup = new Cleanup();
  const { path } = cleanup.use(await Scratch.create());
  const pairs = new Map<Form, Pair>();
  for (const form of contestants)
    pairs.set(form, await connect({ cleanup, dataDir: join(path, form), form }));
  const samples = new Samples();
  for (let round = 0; round <= rounds; round += 1) {
    for (const [form, { client, server }] of round % 2 === 0 ? pairs : [...pairs].reverse()) {
      const rate = await throughput(client.node, server, seconds);
      // The first round finds caches and neighbours cold.
      if (round > 0) samples.add(form, rate);
    }
  }
  return samples;
}

/** A row for each case: the executables' rate as a multiple of ours. */
export async function measureThroughput({ quick }: Scale): Promise<Budget[]> {
  const rows: string[][] = [];
  const budgets: Budget[] = [];
  for (const [what, connect] of Object.entries(cases)) {
    const samples = await measure(connect, quick ? QUICK : FULL);
    const [ours, theirs] = [samples.p50('in-process'), samples.p50('reference')];
    rows.push([what, number(ours), number(theirs), number(theirs / ours)]);
    const measured = theirs / ours;
    budgets.push({
      what: `throughput ${what}, executables against built-ins`,
      measured,
      limit: LIMIT,
      unit: '×',
    });
  }
  say(`${columns([['p50 in Gbit/s, one TCP stream', 'built-in', 'executables', 'ratio'], ...rows])}\n`);
  return budgets;
}
