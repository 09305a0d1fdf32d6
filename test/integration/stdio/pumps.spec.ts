import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { eventually } from '../../helpers/fixture.ts';
import { numbers, readLog, StdioRig, wholeLines } from './rig.ts';

/** Descriptors of this process that lead below a directory, deleted ones included. */
function openBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(directory) ? [target] : [];
    } catch {
      return [];
    }
  });
}

describe('Pumps', () => {
  let rig: StdioRig;
  beforeEach(async () => {
    rig = await StdioRig.create();
  });
  afterEach(() => rig[Symbol.asyncDispose]());

  it('bring both streams of a process to its log', async () => {
    const { stdout, stderr = '' } = await rig.start('c1');
    using out = rig.shim(stdout);
    using err = rig.shim(stderr);
    await Promise.all([out.run('seq', '3'), err.run('seq', '11', '12')]);
    out.close();
    err.close();
    assert.deepEqual(await rig.pumps.drain('c1', { timeoutMs: 5_000 }), { complete: true });
    const of = (name: string): string[] =>
      rig
        .log('c1')
        .filter(({ stream }) => stream === name)
        .map(({ tag, content }) => tag + content);
    assert.deepEqual(of('stdout'), ['F1', 'F2', 'F3']);
    assert.deepEqual(of('stderr'), ['F11', 'F12']);
    assert.deepEqual(rig.reports, []);
  });

  it('lose and repeat nothing of a fast writer', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    await shim.run('seq', '1000000');
    shim.close();
    assert.equal((await rig.pumps.drain('c1', {})).complete, true);
    const log = rig.log('c1');
    assert.deepEqual(wholeLines(log), numbers(1_000_000));
    assert.ok(log.every(({ time }, index) => index === 0 || time > (log[index - 1]?.time ?? '')));
  });

  it('serve many containers at once', async () => {
    const ids = numbers(40).map((n) => `c${n}`);
    await Promise.all(
      ids.map(async (id) => {
        const { stdout } = await rig.start(id);
        const shim = rig.shim(stdout);
        await shim.run('seq', '20000');
        shim.close();
        await rig.pumps.drain(id, {});
      }),
    );
    for (const id of ids) assert.deepEqual(wholeLines(rig.log(id)), numbers(20_000));
  });

  it('take a writer that closes and comes back for the same stream', async () => {
    const { stdout } = await rig.start('c1');
    for (const n of ['1', '2', '3']) {
      const shim = rig.shim(stdout);
      await shim.run('seq', n, n);
      shim.close();
      await eventually(`line ${n}`, () => (rig.log('c1').length === Number(n) ? true : undefined));
    }
    assert.deepEqual(await rig.pumps.drain('c1', {}), { complete: true });
    assert.deepEqual(wholeLines(rig.log('c1')), ['1', '2', '3']);
  });

  it('end a line that has no end as a partial one', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    await shim.run('printf', 'a\\nno end');
    shim.close();
    await rig.pumps.drain('c1', {});
    assert.deepEqual(
      rig.log('c1').map(({ tag, content }) => tag + content),
      ['Fa', 'Pno end'],
    );
  });

  it('split at the line size', async () => {
    const { stdout } = await rig.start('c1', { maxLineSize: 4 });
    using shim = rig.shim(stdout);
    await shim.run('printf', '123456789\\n1234\\n');
    shim.close();
    await rig.pumps.drain('c1', {});
    assert.deepEqual(
      rig.log('c1').map(({ tag, content }) => tag + content),
      ['P1234', 'P5678', 'F9', 'F1234'],
    );
  });

  it('pump a terminal as stdout alone', async () => {
    const fifos = await rig.start('c1', { terminal: true });
    assert.equal(fifos.stderr, undefined);
    using shim = rig.shim(fifos.stdout);
    await shim.run('printf', 'a\\r\\nb\\r\\n');
    shim.close();
    assert.equal((await rig.pumps.drain('c1', {})).complete, true);
    assert.deepEqual(wholeLines(rig.log('c1')), ['a', 'b']);
  });

  it('discard the output of a container without log', async () => {
    const { stdout, stderr = '' } = rig.fifos('c1');
    await rig.pumps.start({ id: 'c1', stdout, stderr, terminal: false });
    using shim = rig.shim(stdout);
    await shim.run('seq', '100000');
    shim.close();
    assert.deepEqual(await rig.pumps.drain('c1', {}), { complete: true });
  });

  it('rotate while a process writes, losing and repeating nothing', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const path = rig.logPath('c1');
    let last = 0;
    const rotated = new AbortController();
    const writing = (async () => {
      for (; !rotated.signal.aborted; last += 100_000)
        await shim.run('seq', String(last + 1), String(last + 100_000));
    })();
    const files: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      await eventually('it is written to', () => (statSync(path).size > 0 ? true : undefined), 15_000, 5);
      const old = `${path}.${n}`;
      renameSync(path, old);
      await rig.pumps.reopen('c1');
      files.push(old);
    }
    rotated.abort();
    await writing;
    shim.close();
    await rig.pumps.drain('c1', {});
    const logs = [...files, path].map((file) => readLog(file));
    assert.deepEqual(wholeLines(logs.flat()), numbers(last));
  });

  it('make a removed log again when it is reopened, and say that it was removed', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    rmSync(rig.logPath('c1'));
    await shim.run('seq', '3');
    await eventually('the report', () => rig.reports.find(({ kind }) => kind === 'log-removed'));
    await rig.pumps.reopen('c1');
    await shim.run('seq', '4', '5');
    shim.close();
    await rig.pumps.drain('c1', {});
    assert.deepEqual(wholeLines(rig.log('c1')), ['4', '5']);
  });

  it('give up on a process that holds the FIFO after the exit, when it is quiet or the time is over', async () => {
    for (const limits of [{ quietMs: 100 }, { timeoutMs: 100 }]) {
      const id = Object.keys(limits).join();
      const { stdout } = await rig.start(id);
      using shim = rig.shim(stdout);
      await shim.run('seq', '3');
      assert.deepEqual(await rig.pumps.drain(id, limits), { complete: false });
      assert.deepEqual(wholeLines(rig.log(id)), ['1', '2', '3']);
      shim.close();
    }
  });

  it('do not call it quiet while something comes', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    // Many times the pause: a busy machine makes some of them longer.
    const drained = rig.pumps.drain('c1', { quietMs: 3_000 });
    for (let n = 0; n < 16; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      writeSync(shim.writer, `${n}\n`);
    }
    shim.close();
    assert.deepEqual(await drained, { complete: true });
    assert.equal(rig.log('c1').length, 16);
  });

  it('collect the output of an exec, cut at the limit, and read on', async () => {
    const { stdout, stderr = '' } = rig.fifos('e1');
    await rig.pumps.start({ id: 'e1', stdout, stderr, terminal: false, collectBytes: 10 });
    using out = rig.shim(stdout);
    using err = rig.shim(stderr);
    await Promise.all([out.run('seq', '100000'), err.run('printf', 'oops')]);
    out.close();
    err.close();
    const { complete, output } = await rig.pumps.drain('e1', {});
    const text = (bytes?: Uint8Array): string => Buffer.from(bytes ?? []).toString();
    assert.equal(complete, true);
    assert.deepEqual([text(output?.stdout), text(output?.stderr)], ['1\n2\n3\n4\n5\n', 'oops']);
    assert.equal(output?.droppedBytes, 588_895 - 10);
  });

  it('refuse a second pump of the same id, and orders to one that is not there', async () => {
    const { stdout } = await rig.start('c1');
    await assert.rejects(rig.pumps.start({ id: 'c1', stdout, terminal: true }), { code: 'ALREADY_EXISTS' });
    await assert.rejects(rig.pumps.reopen('c2'), { code: 'NOT_FOUND' });
    assert.deepEqual(await rig.pumps.drain('c2', {}), { complete: false });
    await assert.rejects(rig.pumps.attach('c2', {}, { signal: new AbortController().signal }), {
      code: 'NOT_FOUND',
    });
    await rig.pumps.stop('c2');
  });

  it('leave nothing open when a start fails, and say why', async () => {
    const { stdout } = rig.fifos('c1');
    const logPath = rig.path;
    await assert.rejects(rig.pumps.start({ id: 'c1', stdout, terminal: true, logPath }), (error: Error) => {
      assert.match(error.message, /^failed to start output of "c1": failed to open log file/);
      return true;
    });
    await assert.rejects(
      rig.pumps.start({
        id: 'c1',
        stdout,
        stderr: `${stdout}-absent`,
        terminal: false,
        logPath: rig.logPath('c1'),
      }),
      { code: 'INTERNAL', message: /stdout-absent": no such file or directory$/ },
    );
    assert.deepEqual(openBelow(rig.path), []);
    await rig.pumps.start({ id: 'c1', stdout, terminal: true, logPath: rig.logPath('c1') });
  });

  it('take up a running container although its log cannot be opened', async () => {
    const { stdout } = await rig.start('c1', { logPath: rig.path, running: true });
    using shim = rig.shim(stdout);
    await shim.run('seq', '200000');
    await eventually('the report', () => rig.reports.find(({ kind }) => kind === 'log-write-failed'));
  });

  it('close everything at the end', async () => {
    const { stdout } = await rig.start('c1', { stdinOnce: false });
    await rig.start('c2');
    assert.equal(openBelow(rig.path).length, 5 + 5 + 1);
    const shim = rig.shim(stdout);
    shim.close();
    await rig.pumps.drain('c1', {});
    assert.equal(openBelow(rig.path).length, 5);
    await rig.pumps.stop('c2');
    assert.deepEqual(openBelow(rig.path), []);
  });

  it('refuse work after the end', async () => {
    await rig.start('c1');
    await rig.pumps.stopAll();
    await rig.pumps.stopAll();
    await assert.rejects(rig.start('c2'), { code: 'UNAVAILABLE' });
  });
});
