import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import { eventually } from '../../helpers/fixture.ts';
import { numbers, StdioRig, wholeLines } from './rig.ts';

/** What a kill -9 may cost of one stream. */
const LOSS = 64 * 1024;

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.js`, import.meta.url));

describe('Pumps over the end of a daemon', () => {
  let rig: StdioRig;
  /** The pump threads, the newest last. */
  let threads: Worker[];
  const onWorker = (worker: Worker): void => void threads.push(worker);
  /** Ends the thread behind the back of its owner. */
  const killThread = async (): Promise<void> => {
    await threads.at(-1)?.terminate();
    await eventually('the death', () => (rig.deaths.length > 0 ? true : undefined));
  };

  beforeEach(async () => {
    threads = [];
    process.on('worker', onWorker);
    rig = await StdioRig.create();
  });
  afterEach(async () => {
    process.off('worker', onWorker);
    await rig[Symbol.asyncDispose]();
  });

  it('lose and repeat nothing when stopped in order while a process writes', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const writing = shim.run('seq', '2000000');
    for (let n = 0; n < 10; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await rig.pumps.stopAll();
      rig.newPumps();
      await rig.start('c1', { running: true });
    }
    await writing;
    shim.close();
    await rig.pumps.drain('c1', {});
    assert.deepEqual(wholeLines(rig.log('c1')), numbers(2_000_000));
  });

  it('lose no more than one read to a kill -9, and end the torn line', async () => {
    const { stdout } = rig.fifos('c1', { terminal: true });
    const path = rig.logPath('c1');
    using shim = rig.shim(stdout);
    const last = 8_000_000;
    const kills = 8;
    const writing = shim.run('seq', '-f', '%09.0f', String(last));
    for (let n = 1; n <= kills; n += 1) {
      const daemon = execa(process.execPath, [program('pump'), stdout, path], { reject: false });
      await eventually('the daemon pumps', () =>
        existsSync(path) && statSync(path).size > n * 10_000_000 ? true : undefined,
      );
      daemon.kill('SIGKILL');
      await daemon;
    }
    await rig.start('c1', { terminal: true, running: true });
    await writing;
    shim.close();
    await rig.pumps.drain('c1', {});

    const text = readFileSync(path, 'latin1');
    assert.ok(text.endsWith('\n'));
    let expected = 1;
    let gaps = 0;
    for (const line of text.slice(0, -1).split('\n')) {
      const match = /^\S{30} stdout [PF] (\d{9})$/.exec(line);
      // The beginning of a line before a gap, or the end of one after it.
      if (match === null) continue;
      const number = Number(match[1]);
      assert.ok(number >= expected, `${number} comes again after ${expected - 1}`);
      if (number > expected) {
        gaps += 1;
        const lost = (number - expected) * 10;
        assert.ok(lost <= LOSS + 10, `lost ${lost} bytes before ${number}`);
      }
      expected = number + 1;
    }
    assert.equal(expected, last + 1);
    assert.ok(gaps <= kills);
  });

  it('go on when the thread dies', async () => {
    const { stdout } = await rig.start('c1');
    await rig.start('c2');
    using shim = rig.shim(stdout);
    await shim.run('seq', '3');
    await eventually('the first lines', () => (rig.log('c1').length === 3 ? true : undefined));
    const attached = await rig.pumps.attach('c1', { stdout: () => undefined }, { signal: never() });
    rmSync(rig.fifos('c2').directory, { recursive: true });
    await killThread();
    await assert.rejects(attached.ended, { code: 'UNAVAILABLE' });
    assert.deepEqual(rig.deaths, ['pump thread failed: it exited']);
    await shim.run('seq', '4', '6');
    await eventually('the other lines', () => (rig.log('c1').length === 6 ? true : undefined));
    await rig.pumps.reopen('c1');
    shim.close();
    assert.deepEqual(await rig.pumps.drain('c1', {}), { complete: true });
    assert.deepEqual(wholeLines(rig.log('c1')), numbers(6));
    assert.deepEqual(
      rig.reports.map(({ id, kind }) => `${id} ${kind}`),
      ['c2 restart-failed'],
    );
  });

  it('are tried again when they cannot be taken up, until they can or are drained', async () => {
    const { directory, stdout } = rig.fifos('c1', { terminal: true });
    const spec = { stdout, terminal: true };
    rmSync(directory, { recursive: true });
    const logPath = rig.logPath('c1');
    await Promise.all(['c1', 'c2'].map((id) => rig.pumps.takeUp({ id, ...spec, logPath })));
    assert.deepEqual(
      rig.reports.map(({ id, kind }) => `${id} ${kind}`),
      ['c1 restart-failed', 'c2 restart-failed'],
    );
    assert.deepEqual(await rig.pumps.drain('c2', {}), { complete: false });
    // A second attempt, of which nothing is told, fails too.
    await new Promise((resolve) => setTimeout(resolve, 700));
    rig.fifos('c1', { terminal: true });
    using shim = rig.shim(stdout);
    await shim.run('seq', '3');
    await eventually('a log', () => (existsSync(logPath) ? true : undefined));
    shim.close();
    assert.deepEqual(await rig.pumps.drain('c1', {}), { complete: true });
    assert.deepEqual(wholeLines(rig.log('c1')), numbers(3));
    assert.equal(rig.reports.length, 2);
    await assert.rejects(rig.pumps.reopen('c2'), { code: 'NOT_FOUND' });
  });

  it('drain on, on the next thread, when the thread dies meanwhile', async () => {
    const { stdout } = await rig.start('c1');
    const shim = rig.shim(stdout);
    const drained = rig.pumps.drain('c1', {});
    await killThread();
    // Answered by the next thread once it has the FIFO open.
    await rig.pumps.reopen('c1');
    await shim.run('seq', '3');
    shim.close();
    assert.deepEqual(await drained, { complete: true });
    assert.deepEqual(wholeLines(rig.log('c1')), numbers(3));
  });

  it('do not pass off as empty what was collected on a thread that died', async () => {
    const { stdout } = rig.fifos('e1');
    await rig.pumps.start({ id: 'e1', stdout, terminal: true, collectBytes: 100 });
    await rig.pumps.start({ id: 'e2', stdout, terminal: true, collectBytes: 100 });
    rig.shim(stdout);
    const drained = rig.pumps.drain('e1', {});
    await killThread();
    await assert.rejects(drained, { code: 'UNAVAILABLE' });
    await assert.rejects(rig.pumps.drain('e2', {}), { code: 'NOT_FOUND' });
  });
});

function never(): AbortSignal {
  return new AbortController().signal;
}
