import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { SyscallError } from '../../../../src/kernel/errno.ts';
import { type Serve, ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import { BerthError } from '../../../../src/lib/errors.ts';

const modules = [new URL('./jobs.js', import.meta.url)];

describe('ThreadPool', () => {
  let pool: ThreadPool;
  const make = (size: number, serve: Readonly<Record<string, Serve>> = {}): ThreadPool => {
    pool = new ThreadPool({ name: 'test', size, modules, serve });
    return pool;
  };
  const failureOf = async (promise: Promise<unknown>): Promise<Error & Record<string, unknown>> =>
    promise.then(
      () => assert.fail('it did not fail'),
      (error: unknown) => error as Error & Record<string, unknown>,
    );
  afterEach(() => pool.stop());

  it('copies what a job takes and returns', async () => {
    make(1);
    const value = { text: 'x', list: [1, { deep: true }], big: 2n ** 60n, bytes: new Uint8Array([1, 2]) };
    assert.deepEqual(await pool.call('echo', value), value);
  });

  it('runs jobs of the same affinity on one thread, in order', async () => {
    make(3);
    const order: number[] = [];
    const calls = [30, 1, 10, 1].map(async (ms, index) => {
      const thread = await pool.call('sleep', ms, { affinity: 'net-a' });
      order.push(index);
      return thread;
    });
    const threads = await Promise.all(calls);
    assert.equal(new Set(threads).size, 1);
    assert.deepEqual(order, [0, 1, 2, 3]);
  });

  it('runs jobs without affinity at the same time, on as many threads as it may have', async () => {
    make(2);
    const threads = await Promise.all([1, 2, 3, 4].map(() => pool.call('sleep', 20)));
    assert.equal(new Set(threads).size, 2);
  });

  it('gives a job without affinity to the first thread that is free, whatever the other is at', async () => {
    make(2);
    await Promise.all([1, 2].map(() => pool.call('sleep', 1)));
    const order: string[] = [];
    const run = async (name: string, ms: number, affinity?: string): Promise<void> => {
      await pool.call('sleep', ms, affinity === undefined ? {} : { affinity });
      order.push(name);
    };
    const long = run('long', 500, 'net-a');
    await Promise.all([run('first', 20), ...['a', 'b', 'c', 'd'].map((name) => run(name, 1)), long]);
    assert.deepEqual(order, ['first', 'a', 'b', 'c', 'd', 'long']);
  });

  it('uses a running idle thread before it starts another', async () => {
    make(4);
    const first = await pool.call('thread', null);
    assert.equal(await pool.call('thread', null), first);
  });

  it('brings errors back as what they are', async () => {
    make(1);
    const berth = await failureOf(pool.call('fail', 'berth'));
    assert.ok(berth instanceof BerthError);
    assert.deepEqual(
      [berth.code, berth.message, berth.meta],
      ['NOT_FOUND', 'failed to find it', { id: 'x' }],
    );
    assert.equal((berth.cause as Error).message, 'inner');
    assert.match(String(berth.stack), /jobs\./);
    const syscall = await failureOf(pool.call('fail', 'syscall'));
    assert.ok(syscall instanceof SyscallError);
    assert.deepEqual([syscall.code, syscall.syscall, syscall.detail], ['EBUSY', 'mount', 'busy']);
    const custom = await failureOf(pool.call('fail', 'custom'));
    assert.deepEqual(
      [custom.name, custom.message, custom['code'], custom['details']],
      ['CniError', 'of its own', 7, 'some'],
    );
  });

  it('names a job that does not exist', async () => {
    make(1);
    assert.equal((await failureOf(pool.call('absent', null))).message, 'no job named "absent"');
  });

  it('refuses what cannot be copied, either way, and works on', async () => {
    make(1);
    assert.equal((await failureOf(pool.call('echo', () => 1))).name, 'DataCloneError');
    assert.equal((await failureOf(pool.call('uncloneable', null))).name, 'DataCloneError');
    assert.equal(
      (await failureOf(pool.call('promise', null))).message,
      'job "promise" returned a Promise: jobs are synchronous',
    );
    assert.equal(await pool.call('echo', 1), 1);
  });

  it('lets a job ask the main thread and wait for the answer', async () => {
    const asked: unknown[] = [];
    make(1, {
      answer: async (arg) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        asked.push(arg);
        return { answered: arg, times: asked.length };
      },
    });
    assert.deepEqual(await pool.call('askTwice', 'x'), [
      { answered: 'x', times: 1 },
      { answered: 'x', times: 2 },
    ]);
  });

  it('lets several threads ask at the same time, each getting its own answer', async () => {
    make(3, { answer: async (arg) => arg });
    const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => pool.call('ask', index)));
    assert.deepEqual(
      answers,
      Array.from({ length: 30 }, (_, index) => index),
    );
  });

  it('throws in the job what the main thread threw', async () => {
    make(1, { answer: () => Promise.reject(new BerthError('UNAVAILABLE', 'not now')) });
    assert.equal(await pool.call('askAndCatch', null), 'UNAVAILABLE not now');
    assert.match((await failureOf(make(1).call('ask', null))).message, /serves no "answer"/);
  });

  it('gives what it serves the signal of the caller', async () => {
    const controller = new AbortController();
    make(1, {
      answer: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          controller.abort(new Error('too late'));
        }),
    });
    let settled: () => void;
    const end = new Promise<void>((resolve) => (settled = resolve));
    const call = pool.call('ask', null, { signal: controller.signal, onSettled: () => settled() });
    assert.equal((await failureOf(call)).message, 'too late');
    await end;
    assert.equal(await pool.call('echo', 'free again'), 'free again');
  });

  it('drops a queued job when its signal fires', async () => {
    make(1);
    const controller = new AbortController();
    const running = pool.call('sleep', 30);
    let settled = 0;
    const queued = pool.call('poison', null, { signal: controller.signal, onSettled: () => settled++ });
    const thread = pool.call('thread', null);
    controller.abort(new Error('changed my mind'));
    assert.equal((await failureOf(queued)).message, 'changed my mind');
    assert.equal(settled, 1);
    // The dropped job would have ended the thread.
    assert.equal(await running, await thread);
  });

  it('drops any of the jobs that wait behind a running one, and runs the rest in order', async () => {
    make(1);
    await pool.call('echo', null);
    const running = pool.call('sleep', 20);
    const controllers = Array.from({ length: 6 }, () => new AbortController());
    const settled = controllers.map(() => 0);
    const ended: number[] = [];
    const calls = controllers.map(async ({ signal }, index) => {
      await pool.call('echo', index, {
        signal,
        onSettled: () => (settled[index] = (settled[index] ?? 0) + 1),
      });
      ended.push(index);
    });
    const outcomes = Promise.allSettled(calls);
    for (const index of [0, 2, 5]) controllers[index]?.abort(new Error('changed my mind'));
    await running;
    const states = (await outcomes).map(({ status }) => status);
    assert.deepEqual(ended, [1, 3, 4]);
    const [yes, no] = ['fulfilled', 'rejected'];
    assert.deepEqual(states, [no, yes, no, yes, yes, no]);
    assert.equal(await pool.call('echo', 'free'), 'free');
    assert.deepEqual(settled, [1, 1, 1, 1, 1, 1]);
  });

  it('gives the jobs behind one that poisoned its thread to the next thread', async () => {
    make(1);
    const [poisoned, ...others] = await Promise.all([
      pool.call('poison', null),
      pool.call('thread', null),
      pool.call('thread', null),
      pool.call('thread', null),
    ]);
    assert.equal(new Set(others).size, 1);
    assert.notEqual(others[0], poisoned);
  });

  it('does not run a dropped job on the thread that takes the place of the one that had it', async () => {
    const asked: unknown[] = [];
    make(1, { answer: async (arg) => void asked.push(arg) });
    const controller = new AbortController();
    const { signal } = controller;
    const poisoned = pool.call('poison', null, { affinity: 'a' });
    let settled = 0;
    const dropped = failureOf(
      pool.call('ask', 'dropped', { affinity: 'a', signal, onSettled: () => (settled += 1) }),
    );
    const behind = pool.call('thread', null, { affinity: 'a' });
    controller.abort(new Error('changed my mind'));
    assert.equal((await dropped).message, 'changed my mind');
    assert.notEqual(await behind, await poisoned);
    assert.deepEqual([asked, settled], [[], 1]);
  });

  it('rejects a running job at once, and tells when it has really ended', async () => {
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const controller = new AbortController();
    make(1, {
      answer: () => {
        controller.abort(new Error('deadline'));
        return held;
      },
    });
    let hasEnded = false;
    const end = new Promise<void>((resolve) => {
      const onSettled = (): void => {
        hasEnded = true;
        resolve();
      };
      const call = pool.call('ask', null, { signal: controller.signal, onSettled });
      void failureOf(call).then((error) => {
        assert.equal(error.message, 'deadline');
        assert.deepEqual([hasEnded, pool.pending], [false, 1]);
        letGo();
      });
    });
    await end;
    assert.equal(pool.pending, 0);
  });

  it('does not begin a job whose signal has fired already', async () => {
    make(1);
    let settled = 0;
    const signal = AbortSignal.abort(new Error('before'));
    assert.equal(
      (await failureOf(pool.call('exit', null, { signal, onSettled: () => settled++ }))).message,
      'before',
    );
    assert.equal(settled, 1);
  });

  it('replaces a poisoned thread, even when the job caught the error', async () => {
    make(1);
    const poisoned = await pool.call('poison', null, { affinity: 'a' });
    assert.notEqual(await pool.call('thread', null, { affinity: 'a' }), poisoned);
  });

  it('replaces a thread that died, and fails the job that it ran', async () => {
    make(1);
    const [died, next] = [pool.call('exit', null), pool.call('echo', 'next')];
    const error = await failureOf(died);
    assert.ok(error instanceof BerthError);
    assert.deepEqual([error.code, error.message], ['INTERNAL', 'worker thread failed: it exited']);
    assert.equal(await next, 'next');
  });

  it('says why when a module cannot be loaded', async () => {
    pool = new ThreadPool({ name: 'test', size: 1, modules: [new URL('./absent.js', import.meta.url)] });
    assert.match(
      (await failureOf(pool.call('echo', 1))).message,
      /worker thread failed: Cannot find module .*absent\.js/,
    );
  });

  it('on stop lets running jobs end, drops queued ones and refuses new ones', async () => {
    make(1);
    const running = pool.call('sleep', 30);
    const queued = failureOf(pool.call('echo', 1));
    await Promise.all([pool.stop(), pool.stop()]);
    assert.equal(typeof (await running), 'number');
    assert.equal((await queued)['code'], 'UNAVAILABLE');
    assert.equal((await failureOf(pool.call('echo', 1)))['code'], 'UNAVAILABLE');
  });

  it('on stop ends a job that waits for the main thread in vain', async () => {
    make(1, { answer: () => new Promise(() => undefined) });
    let settled = 0;
    const hanging = failureOf(pool.call('ask', null, { onSettled: () => settled++ }));
    await pool.stop(20);
    assert.equal((await hanging)['code'], 'UNAVAILABLE');
    assert.equal(settled, 1);
  });

  it('on stop does not wait for a job that waits for a tool; nor does the process', async () => {
    const program = fileURLToPath(new URL('./stuck.js', import.meta.url));
    const { stdout } = await execa(process.execPath, [program], { timeout: 60_000, killSignal: 'SIGKILL' });
    assert.equal(stdout, 'UNAVAILABLE: failed to run job "tool": threads of "stuck" are stopped');
  });

  it('does not keep the process alive when idle, and does when busy', async () => {
    make(1);
    const program = fileURLToPath(new URL('./idle.js', import.meta.url));
    const { stdout } = await execa(process.execPath, [program], { timeout: 60_000 });
    assert.equal(stdout, 'done');
  });
});
