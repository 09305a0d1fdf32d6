import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleanup } from '../helpers/cleanup.ts';
import type { CriClient } from '../helpers/cri-client.ts';
import { bridgeNetwork, TestDaemon } from '../helpers/daemon.ts';
import { unmountBelow } from '../helpers/mounts.ts';
import { TestNode } from '../helpers/node.ts';
import { BareKernel } from './bare.ts';
import { Containerd } from './containerd.ts';
import { metricsAddress } from './event-loop.ts';
import { concurrently, operations, Samples, sequentially, settle } from './measure.ts';

/** Where the reference plugins' executables are. */
export const binDir = '/usr/lib/cni';

export interface Plan {
  /** How often all contestants are gone through. */
  readonly rounds: number;
  /** Sandboxes one after the other in each round. */
  readonly perRound: number;
  /** Sandboxes ten at a time in each round. */
  readonly parallel: number;
}

export type EndpointName = 'berth' | 'executables' | 'containerd';

export type Name = EndpointName | 'bare';

export type Results = ReadonlyMap<Name, Samples>;

/** Who is measured: Berth with built-in plugins and with executables, Debian's containerd, and the kernel alone. */
export interface Contestants {
  readonly berth: TestDaemon;
  /** The network namespace that `berth` is in. */
  readonly berthNode: TestNode;
  readonly executables: TestDaemon;
  readonly containerd: Containerd;
  readonly bare: BareKernel;
}

/**
 * Starts them on the same conflist, each in a network namespace of its own: the same link names, subnets and rules, and nobody's
 * links slow another's. What lies below /run on a node, state and pinned namespaces, is on a tmpfs here too, for each of them.
 */
export async function startContestants(cleanup: Cleanup): Promise<Contestants> {
  const volatile = await scratchDirectory(cleanup, '/dev/shm');
  const paths = (name: string): { storage: { state: string }; netns: string } => ({
    storage: { state: join(volatile, name, 'state') },
    netns: join(volatile, name, 'netns'),
  });
  const node = async (): Promise<TestNode> => cleanup.use(await TestNode.create());
  const of = (name: string, cni: Record<string, unknown>): Record<string, Record<string, unknown>> => {
    const { storage, netns } = paths(name);
    return { storage, cni: { bin_dirs: [binDir], netns_dir: netns, ...cni } };
  };
  const berthNode = await node();
  const metrics = { address: metricsAddress };
  const berth = cleanup.use(
    await TestDaemon.start({ node: berthNode, config: { ...of('berth', {}), metrics } }),
  );
  const executables = cleanup.use(
    await TestDaemon.start({ node: await node(), config: of('executables', { builtin: 'never' }) }),
  );
  const confDir = await scratchDirectory(cleanup);
  await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(bridgeNetwork(confDir)));
  const containerd = cleanup.use(
    await Containerd.start({ node: await node(), confDir, binDir, state: paths('containerd').storage.state }),
  );
  const bare = new BareKernel(await node(), volatile);
  cleanup.defer(async () => bare[Symbol.dispose]());
  return { berth, berthNode, executables, containerd, bare };
}

/** The endpoints as they are now: a daemon that was started again has a new client. */
export function clients(contestants: Contestants): [EndpointName, CriClient][] {
  return (['berth', 'executables', 'containerd'] as const).map((name) => [name, contestants[name].client]);
}

/** Goes through all of them in turn, so that a machine that slows down or speeds up does so for each. */
export async function measureAll(contestants: Contestants, plan: Plan): Promise<Results> {
  const rounds: [Name, (samples: Samples) => Promise<void>][] = [
    ...clients(contestants).map(([name, client]): [Name, (samples: Samples) => Promise<void>] => [
      name,
      async (samples) => {
        await sequentially(client, samples, plan.perRound);
        await concurrently(client, samples, plan.parallel);
      },
    ]),
    ['bare', (samples) => measureBareKernel(contestants.bare, samples, plan.perRound)],
  ];
  const results = new Map(rounds.map(([name]) => [name, new Samples()]));
  for (let number = 0; number < plan.rounds; number += 1) {
    for (const [name, round] of rounds) await round(results.get(name) ?? new Samples());
  }
  return results;
}

async function measureBareKernel(bare: BareKernel, samples: Samples, count: number): Promise<void> {
  const removals: (() => void)[] = [];
  for (let i = 0; i < count; i += 1) removals.push(await samples.time(operations.run, () => bare.run()));
  for (const remove of removals) await samples.time(operations.down, remove);
  await settle();
}

/** A directory that is gone with the clean-up, whatever is mounted below. */
export async function scratchDirectory(cleanup: Cleanup, parent: string = tmpdir()): Promise<string> {
  const directory = await mkdtemp(join(parent, 'bench-'));
  cleanup.defer(async () => {
    await unmountBelow(directory);
    await rm(directory, { recursive: true, force: true });
  });
  return directory;
}
