import assert from 'node:assert/strict';
import { ShimWatch } from '../../../src/containerd/shim-watch.ts';
import { eventually } from '../../helpers/fixture.ts';
import { TestEngine, untilOutput } from './engine.ts';

describe('containerd: the ends that shims tell of', () => {
  let engine: TestEngine;
  let watch: ShimWatch;

  before(async () => {
    engine = await TestEngine.start();
    await engine.importImage();
    watch = new ShimWatch({ address: engine.embedded.address, log: engine.log });
  });

  after(async () => {
    watch.end();
    await engine[Symbol.asyncDispose]();
  });

  it('are known, before the watch began and while containerd is away, until it is over', async () => {
    const early = await start('early', 4);
    const late = await start('late', 5);
    const stays = await start('stays', 6);
    process.kill(early, 'SIGTERM');
    await engine.client.tasks.wait({ containerId: 'early' });
    await watch.begin();
    const { exitedAt } = await ended('early', 4);
    assert.equal((await engine.client.tasks.get({ containerId: 'early' })).exitedAt, exitedAt);

    const { pid } = engine;
    process.kill(pid, 'SIGKILL');
    process.kill(late, 'SIGTERM');
    await ended('late', 5);
    assert.deepEqual([...watch.ends.keys()].sort(), ['early', 'late']);
    watch.end();
    assert.equal(watch.ends.size, 0);

    await eventually('another containerd', () => (engine.pid === pid || engine.pid === 0 ? undefined : true));
    await engine.ready();
    process.kill(stays, 'SIGTERM');
    assert.equal((await engine.client.tasks.wait({ containerId: 'stays' })).exitStatus, 6);
    assert.equal(watch.ends.size, 0);
  });

  it('are none where no shim is', async () => {
    const nowhere = new ShimWatch({ address: `${engine.embedded.address}.other`, log: engine.log });
    await nowhere.begin();
    assert.equal(nowhere.ends.size, 0);
    nowhere.end();
  });

  /** Starts a container that ends with this code when it is told to; returns its pid. */
  async function start(id: string, code: number): Promise<number> {
    const script = `trap "exit ${code}" TERM; echo ready; while :; do sleep 0.05; done`;
    const { output } = await engine.createTask(id, ['sh', '-c', script]);
    const pid = await engine.client.tasks.start({ containerId: id });
    await untilOutput(output, /ready/);
    return pid;
  }

  function ended(id: string, code: number): Promise<{ exitedAt: bigint }> {
    return eventually(`the shim tells of the end of ${id}`, () => {
      const end = watch.ends.get(id);
      if (end !== undefined) assert.equal(end.exitStatus, code);
      return end;
    });
  }
});
