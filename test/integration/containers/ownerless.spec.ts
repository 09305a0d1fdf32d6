import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const shared = { linux: { securityContext: { namespaceOptions: { pid: 'POD' } } } } as const;

describe('what a killed Berth left in containerd', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  it('is removed when it is ours and no record names it; what others made stays', async () => {
    const pod = await rig.runPod('owner');
    const kept = await rig.run(pod, 'kept', FOREVER, own);
    const lost = await rig.run(pod, 'lost', FOREVER, own);
    const instance = readFileSync(join(rig.directory, 'root', 'instance'), 'utf8').trim();
    await snapshot('ours-bare', instance);
    await snapshot('another-instance', 'somebody-else');
    await rig.ctr('snapshots', 'prepare', 'unmarked');
    await rig.ctr('leases', 'create', '--id', 'ours-lease', `io.berth.instance=${instance}`);
    await rig.ctr('leases', 'create', '--id', 'foreign-lease', 'io.berth.instance=somebody-else');
    await rig.daemon.kill();
    await rm(join(rig.directory, 'root', 'containers', `${lost}.jsonl`));
    await rig.daemon.start();

    const gone = [lost, 'ours-bare', 'ours-lease'];
    await eventually('what nobody owns is gone', async () => {
      const there = await inventory();
      return gone.every((name) => !there.includes(name)) ? true : undefined;
    });
    const there = await inventory();
    for (const name of [kept, 'another-instance', 'unmarked', 'foreign-lease'])
      assert.ok(there.includes(name), name);
    assert.deepEqual(await rig.list(), [kept]);
    assert.equal((await rig.status(kept)).state, 'CONTAINER_RUNNING');

    for (const key of ['another-instance', 'unmarked']) await rig.ctr('snapshots', 'rm', key);
    await rig.ctr('leases', 'rm', 'foreign-lease');
  });

  for (const afterMs of [5, 15, 30, 60]) {
    it(`is undone when it is half made: killed ${afterMs} ms after the calls`, async () => {
      const pod = await rig.runPod(`half-${afterMs}`);
      const calls = [0, 1, 2, 3].map((n) => rig.create(pod, `c${n}`, FOREVER, n === 0 ? shared : own));
      const ends = Promise.allSettled(calls);
      await sleep(afterMs);
      await rig.daemon.kill();
      await ends;
      await rig.daemon.start();
      const known = new Set([...(await rig.list()), pod.id]);
      await eventually('only what is known is there', async () => {
        const there = await inventory();
        return there.every((name) => known.has(name)) ? true : undefined;
      });
    });
  }

  for (const [what, pauseMade] of [
    ['that does not know it', false],
    ['that does not know whether it runs', true],
  ] as const) {
    it(`is removed when it is the pause process of a pod ${what}`, async () => {
      const pod = await rig.runPod('paused');
      await rig.remove(await rig.run(pod, 'first', FOREVER, shared));
      await rig.daemon.kill();
      // As if it had been killed before it wrote down what it had started.
      const path = join(rig.directory, 'root', 'sandboxes', `${pod.id}.jsonl`);
      const record = readFileSync(path, 'utf8');
      const state = JSON.parse(record.split('\n').at(-2) ?? '') as { pausePid: number };
      assert.notEqual(state.pausePid, 0);
      await writeFile(path, `${record}${JSON.stringify({ ...state, pausePid: 0, pauseMade })}\n`);
      await rig.daemon.start();
      await eventually('the pause process is gone', async () =>
        (await inventory()).includes(pod.id) ? undefined : true,
      );
      const again = await rig.run(pod, 'again', FOREVER, shared);
      assert.equal((await rig.status(again)).state, 'CONTAINER_RUNNING');
    });
  }

  async function snapshot(key: string, instance: string): Promise<void> {
    await rig.ctr('snapshots', 'prepare', key);
    await rig.ctr('snapshots', 'label', key, `io.berth.instance=${instance}`);
  }

  /** The names of all containers, tasks, active snapshots and leases. */
  async function inventory(): Promise<string[]> {
    const lines = async (...args: string[]): Promise<string[]> =>
      (await rig.ctr(...args)).split('\n').filter((line) => line !== '');
    const snapshots = (await lines('snapshots', 'ls')).filter((line) => line.includes(' Active'));
    return [
      ...(await lines('containers', 'ls', '--quiet')),
      ...(await lines('tasks', 'ls', '--quiet')),
      ...(await lines('leases', 'ls', '--quiet')),
      ...snapshots.map((line) => line.split(' ')[0] ?? ''),
    ];
  }
});
