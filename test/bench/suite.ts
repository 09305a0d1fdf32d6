import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cleanup } from '../helpers/cleanup.ts';
import type { CriClient } from '../helpers/cri-client.ts';
import { bridgeNetwork, TestDaemon } from '../helpers/daemon.ts';
import { unmountBelow } from '../helpers/mounts.ts';
import { TestNode } from '../helpers/node.ts';
import { BareKernel } from './bare.ts';
import { Containerd } from './containerd.ts';
import { metricsAddress } from './event-loop.ts';
import { concurrently, operations, Samples, sequentially, settle } from './measure.ts';

/** Where the reference plugins' executables are. */
const binDir = '/usr/lib/cni';

export interface Plan {
  /** How often all endpoints are gone through. */
  readonly rounds: number;
  /** Sandboxes one after the other in each round. */
  readonly perRound: number;
  /** Sandboxes ten at a time in each round. */
  readonly parallel: number;
}

/** Who is measured: Berth with built-in plugins and with executables, and Debian's containerd, on the same conflist. */
export interface Contestants {
  readonly berth: TestDaemon;
  /** The network namespace that `berth` is in. */
  readonly berthNode: TestNode;
  readonly executables: TestDaemon;
  readonly containerd: Containerd;
}

export type Endpoint = 'berth' | 'executables' | 'containerd';

export type Name = Endpoint | 'bare';

export type Results = ReadonlyMap<Name, Samples>;

/**
 * Starts them, each in a network namespace of its own: the same link names, subnets and rules, and nobody's links slow
 * another's.
 */
export async function startContestants(cleanup: Cleanup): Promise<Contestants> {
  const node = async (): Promise<TestNode> => cleanup.use(await TestNode.create());
  const cni = { bin_dirs: [binDir] };
  const berthNode = await node();
  const metrics = { address: metricsAddress };
  const berth = cleanup.use(await TestDaemon.start({ node: berthNode, config: { cni, metrics } }));
  const executables = cleanup.use(
    await TestDaemon.start({ node: await node(), config: { cni: { ...cni, builtin: 'never' } } }),
  );
  const confDir = await scratchDirectory(cleanup);
  await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(bridgeNetwork(confDir)));
  const containerd = cleanup.use(await Containerd.start({ node: await node(), confDir, binDir }));
  return { berth, berthNode, executables, containerd };
}

/** The endpoints as they are now: a daemon that was started again has a new client. */
export function clients(contestants: Contestants): [Endpoint, CriClient][] {
  return (['berth', 'executables', 'containerd'] as const).map((name) => [name, contestants[name].client]);
}

/** Goes through all of them in turn, so that a machine that slows down or speeds up does so for each. */
export async function measureEndpoints(contestants: Contestants, plan: Plan): Promise<Map<Name, Samples>> {
  const endpoints = clients(contestants).map(([name, client]) => ({ name, client, samples: new Samples() }));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const { client, samples } of endpoints) {
      await sequentially(client, samples, plan.perRound);
      await concurrently(client, samples, plan.parallel);
    }
  }
  return new Map(endpoints.map(({ name, samples }) => [name, samples]));
}

/** The kernel's own share, in this process, in the same rounds. */
export async function measureBareKernel(plan: Plan): Promise<Samples> {
  await using cleanup = new Cleanup();
  const node = cleanup.use(await TestNode.create());
  const directory = await scratchDirectory(cleanup);
  using bare = new BareKernel(node, directory);
  const samples = new Samples();
  for (let round = 0; round < plan.rounds; round += 1) {
    const removals: (() => void)[] = [];
    for (let i = 0; i < plan.perRound; i += 1)
      removals.push(await samples.time(operations.run, () => bare.run()));
    for (const remove of removals) await samples.time(operations.down, remove);
    await settle();
  }
  return samples;
}

async function scratchDirectory(cleanup: Cleanup): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-'));
  cleanup.defer(async () => {
    await unmountBelow(directory);
    await rm(directory, { recursive: true, force: true });
  });
  return directory;
}
