import assert from 'node:assert/strict';
import type { Shim } from '../../../src/containerd/shim.ts';
import { Shims } from '../../../src/containerd/shims.ts';
import { eventually } from '../../helpers/fixture.ts';
import { processSpec, TestEngine } from './engine.ts';

const SIGKILL = 9;

describe('containerd: a shim that is asked itself', () => {
  const shims = new Shims();
  let engine: TestEngine;
  let pid: number;
  let shim: Shim;

  before(async () => {
    engine = await TestEngine.start();
    await engine.importImage();
    await engine.createTask('main', ['sleep', '1000']);
    pid = await engine.client.tasks.start({ containerId: 'main' });
  });

  after(async () => {
    shims.close();
    await engine[Symbol.asyncDispose]();
  });

  it('is found once a task was seen, and no other is', async () => {
    assert.equal(await shims.of('main'), undefined);
    assert.equal(shims.learn('main', process.pid), false);
    assert.equal(shims.learn('other', pid), false);
    assert.equal(shims.learn('main', pid), true);
    assert.equal(await shims.of('other'), undefined);
    shim = (await shims.of('main')) ?? assert.fail();
  });

  it('makes, starts, ends and forgets processes', async () => {
    const ref = { containerId: 'main', execId: 'killed' };
    await shim.exec(ref, { spec: processSpec(['sleep', '1001']), io: io(ref.execId) });
    const ended = shim.wait(ref);
    const started = await shim.start(ref);
    const pids = await engine.client.tasks.pids('main');
    assert.equal(pids.find((one) => one.pid === started)?.execId, 'killed');
    await assert.rejects(shim.delete(ref));
    await shim.kill(ref, SIGKILL);
    const { exitStatus, exitedAt } = await ended;
    assert.equal(exitStatus, 137);
    assert.deepEqual(await shim.delete(ref), { pid: started, exitStatus, exitedAt });
    await assert.rejects(shim.delete(ref), { code: 'NOT_FOUND' });
  });

  it('tells why a process cannot be started, and of one that was not', async () => {
    const ref = { containerId: 'main', execId: 'missing' };
    await shim.exec(ref, { spec: processSpec(['/no/such/command']), io: io(ref.execId) });
    await assert.rejects(shim.start(ref), /no such file or directory/);
    assert.equal((await shim.delete(ref)).pid, 0);
  });

  it('is asked on one connection, until that is closed', async () => {
    assert.equal(await shims.of('main'), shim);
    const waiting = shim.wait({ containerId: 'main' });
    shim.close();
    await assert.rejects(waiting, { code: 'UNAVAILABLE' });
    const other = (await shims.of('main')) ?? assert.fail();
    assert.notEqual(other, shim);
    assert.equal(other.isClosed, false);
    shim = other;
  });

  it('is lost with its last task', async () => {
    const main = { containerId: 'main' };
    const waiting = shim.wait(main);
    await shim.kill(main, SIGKILL, { all: true });
    await waiting;
    await engine.client.tasks.delete(main);
    await assert.rejects(shim.wait(main));
    assert.equal(await shims.of('main'), undefined);
    await eventually('the connection ends', () => (shim.isClosed ? true : undefined));
  });

  function io(execId: string): { stdin: string; stdout: string; stderr: string; terminal: boolean } {
    // Files for one stream only panic the shim of 1.6.
    const output = `file://${engine.directory}/${execId}.out`;
    return { stdin: '', stdout: output, stderr: output, terminal: false };
  }
});
