import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { findProcesses } from '../../../../src/containerd/embedded/process.ts';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import { endOrphanedShim, shimJobsModule } from '../../../../src/pod/engine/orphaned-shim.ts';
import { eventually } from '../../../helpers/fixture.ts';

const ADDRESS = `/run/berth-test-${process.pid}/containerd.sock`;

/** A process that looks like a shim of containerd, and waits. */
async function shim(id: string, script: string): Promise<ChildProcess> {
  const args = ['-c', script, '-address', ADDRESS, '-id', id];
  const child = spawn('/bin/sh', args, {
    argv0: 'containerd-shim-runc-v2',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('the shim that a container which never ran has left', () => {
  const pool = new ThreadPool({ name: 'test', size: 1, modules: [shimJobsModule] });
  const jobs: string[] = [];
  const threads = {
    call: (job: string, arg: unknown): Promise<unknown> => {
      jobs.push(job);
      return pool.call(job, arg);
    },
  };

  after(async () => {
    await pool.stop();
  });

  it('is looked for on a worker thread, and ended; others and one that has children are not', async () => {
    const lone = await shim('a', 'echo; read _');
    const other = await shim('b', 'echo; read _');
    const serving = await shim('c', 'sleep 3600.5 & echo; wait');
    try {
      for (const id of ['a', 'c', 'd']) await endOrphanedShim(threads, { address: ADDRESS, id });
      await eventually('the first has ended', () => (lone.signalCode === null ? undefined : true));
      assert.deepEqual([other.signalCode, serving.signalCode], [null, null]);
      assert.deepEqual(jobs, Array(3).fill('shims.childless'));
    } finally {
      for (const child of [lone, other, serving]) child.kill('SIGKILL');
      for (const { pid } of findProcesses((argv) => argv[1] === '3600.5')) process.kill(pid, 'SIGKILL');
    }
  });
});
