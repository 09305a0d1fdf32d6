import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '../../../src/lib/errors.ts';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';
import { ContainerRig } from '../containers/rig.ts';
import { RandomCalls } from './calls.ts';
import { deviations } from './deviations.ts';
import { Random } from './random.ts';

/** For others `CHAOS_SEEDS=17,18`. */
const SEEDS = (process.env['CHAOS_SEEDS'] ?? '1,2').split(',').map(Number);
const CALLS = 40;
const AT_ONCE = 6;
const DISRUPTIONS = 2;
const QUIET_MS = 60_000;
/** What Berth logs as an error though it is what the test does to it. */
const OUR_DOING = /containerd ended and is started again|"component":"containerd"/;

describe('random calls of the CRI while', () => {
  let rig: ContainerRig;
  let scratch: Scratch;
  let plugin: Awaited<ReturnType<typeof scriptedPlugin>>;
  /** Resolves once Berth serves. */
  let serving: Promise<void> = Promise.resolve();

  before(async () => {
    scratch = await Scratch.create();
    plugin = await scriptedPlugin(scratch.path, 'shaky');
    const cni = { bin_dirs: [scratch.path], add_timeout_seconds: 4, del_timeout_seconds: 2 };
    rig = await ContainerRig.start({ config: { cni } });
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  function configure(text: string): void {
    const path = join(rig.daemon.confDir, 'next');
    writeFileSync(path, text);
    renameSync(path, join(rig.daemon.confDir, '10-test.conflist'));
  }

  function network(name: string): string {
    const list = bridgeNetwork(scratch.path) as { plugins: object[] };
    return JSON.stringify({ ...list, name, plugins: [...list.plugins, { type: 'shaky' }] });
  }

  async function restart(pauseMs: number, { engineToo = false } = {}): Promise<void> {
    const { enginePid } = rig;
    await rig.daemon.kill();
    if (engineToo) kill(enginePid);
    await sleep(pauseMs);
    await rig.daemon.start();
  }

  /** Does one thing to Berth, containerd, the plugin or the configuration; returns what. */
  function disrupt(random: Random): string {
    const [what, act] = random.pick<[string, () => void]>([
      ['kill Berth', () => (serving = restart(random.below(200)))],
      ['kill both', () => (serving = restart(random.below(200), { engineToo: true }))],
      ['kill containerd', () => kill(rig.enginePid)],
      ['ADD fails', () => plugin.on('add', 'exit 1')],
      ['ADD hangs', () => plugin.on('add', 'sleep 30')],
      ['DEL fails', () => plugin.on('del', 'exit 1')],
      ['DEL is slow', () => plugin.on('del', 'sleep 0.5')],
      ['a broken configuration', () => configure('{')],
      ['another configuration', () => configure(network('berth-other'))],
    ]);
    act();
    return what;
  }

  async function round(calls: RandomCalls, random: Random): Promise<void> {
    const when = Array.from({ length: DISRUPTIONS }, () => random.below(CALLS));
    const running = new Set<Promise<void>>();
    for (let i = 0; i < CALLS; i += 1) {
      await serving;
      if (when.includes(i)) calls.trace.push(`--- ${disrupt(random)}`);
      // Most of what is asked of a Berth that is away would teach nothing.
      if (random.chance(0.8)) await serving;
      const one = calls.one().finally(() => running.delete(one));
      running.add(one);
      while (running.size >= AT_ONCE) await Promise.race(running);
      await sleep(random.below(60));
    }
    await Promise.all(running);
    await serving;
  }

  /** Waits until the machine is as the CRI says. */
  async function quiet(): Promise<void> {
    let last: string[] = [];
    await eventually(
      'nothing deviates',
      async () => {
        // What cannot be looked at is not as it should be either.
        last = await deviations(rig, join(scratch.path, 'ipam')).catch((error: unknown) => [String(error)]);
        return last.length === 0 ? true : undefined;
      },
      QUIET_MS,
      200,
    ).catch((error: unknown) => {
      throw new Error(last.join('\n'), { cause: error });
    });
  }

  for (const seed of SEEDS) {
    it(`things break leave the machine as the CRI says, and removing all leaves nothing (seed ${seed})`, async () => {
      const random = new Random(seed);
      const calls = new RandomCalls(rig, random);
      configure(network('berth-test'));
      try {
        await round(calls, random);
        await plugin.on('add', '');
        await plugin.on('del', '');
        configure(network('berth-test'));
        await quiet();
        await rig.daemon.client.clear();
        await quiet();
        await rig.untraced();
        assert.deepEqual(calls.strange, []);
        const log = (await rig.daemon.log()).split('\n');
        assert.deepEqual(
          log.filter((line) => /"level":"error"|nhandled/.test(line) && !OUR_DOING.test(line)),
          [],
        );
      } catch (error) {
        throw new Error(`seed ${seed}\n${calls.trace.join('\n')}\n${String(error)}`, { cause: error });
      }
    }).timeout(300_000);
  }
});

/** One that was killed shortly before may not have a successor yet. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
