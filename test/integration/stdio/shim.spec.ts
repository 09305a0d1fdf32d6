import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { createFifos, type FifoPaths } from '../../../src/stdio/fifos.ts';
import type { PumpSpec } from '../../../src/stdio/protocol.ts';
import { Pumps } from '../../../src/stdio/pumps.ts';
import { processSpec, TestEngine } from '../containerd/engine.ts';
import { numbers, readLog, wholeLines } from './rig.ts';

const SIGKILL = 9;
const LIMITS = { timeoutMs: 10_000 };

/** What the pumps take for granted of containerd's shim, with Debian's own. */
describe('stdio with a real shim', () => {
  let engine: TestEngine;
  let pumps: Pumps;
  const reports: unknown[] = [];
  const host = { containerId: 'host' };

  before(async () => {
    pumps = new Pumps({
      onReport: (report) => reports.push(report),
      onThreadDied: (error) => reports.push(error),
    });
    engine = await TestEngine.start();
    await engine.importImage();
    await engine.createTask('host', ['sleep', '1000']);
    await engine.client.tasks.start(host);
  });

  after(async () => {
    await pumps.stopAll();
    await engine[Symbol.asyncDispose]();
  });

  const logPath = (id: string): string => join(engine.directory, 'logs', `${id}.log`);

  /** Pumps an exec and starts it; `before` runs when it is pumped and not yet started. */
  const start = async (
    execId: string,
    script: string,
    options: { stdin?: boolean; spec?: Partial<PumpSpec>; before?: () => Promise<void> } = {},
  ): Promise<FifoPaths> => {
    const terminal = false;
    const fifos = createFifos(join(engine.directory, 'io'), execId, {
      stdin: options.stdin ?? false,
      terminal,
    });
    const { stdin, stdout, stderr = '' } = fifos;
    const outputs = { stdout, stderr, terminal };
    await pumps.start({ id: execId, ...outputs, ...(stdin !== undefined && { stdin }), ...options.spec });
    await options.before?.();
    const io = { stdin: stdin ?? '', ...outputs };
    const spec = processSpec(['sh', '-c', script]);
    await engine.client.tasks.exec({ ...host, execId }, { spec, io });
    await engine.client.tasks.start({ ...host, execId });
    return fifos;
  };
  const exited = async (execId: string): Promise<number> =>
    (await engine.client.tasks.wait({ ...host, execId })).exitStatus;

  it('ends both streams by itself once the process has ended, with nothing lost', async () => {
    await start('log', 'seq 200000; echo oops >&2', { spec: { logPath: logPath('log') } });
    assert.equal(await exited('log'), 0);
    assert.deepEqual(await pumps.drain('log', LIMITS), { complete: true });
    const log = readLog(logPath('log'));
    assert.deepEqual(wholeLines(log.filter(({ stream }) => stream === 'stdout')), numbers(200_000));
    assert.deepEqual(wholeLines(log.filter(({ stream }) => stream === 'stderr')), ['oops']);
  });

  it('keeps what a process writes while nobody reads, until the next reader', async () => {
    const script = 'seq 1000; sleep 0.5; seq 1001 200000';
    const { stdout, stderr = '' } = await start('gap', script, { spec: { logPath: logPath('gap') } });
    await pumps.stop('gap');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await pumps.start({ id: 'gap', stdout, stderr, terminal: false, logPath: logPath('gap'), running: true });
    await exited('gap');
    assert.deepEqual(await pumps.drain('gap', LIMITS), { complete: true });
    assert.deepEqual(wholeLines(readLog(logPath('gap'))), numbers(200_000));
  });

  it('brings stdin and, once it is closed, its end', async () => {
    const stdin = new PassThrough();
    let output = '';
    let ended: Promise<void> | undefined;
    const before = async (): Promise<void> => {
      const take = (chunk: Uint8Array): void => {
        output += Buffer.from(chunk).toString();
      };
      const streams = { stdin, stdout: take };
      const closeStdin = (): Promise<void> => engine.client.tasks.closeStdin({ ...host, execId: 'cat' });
      ({ ended } = await pumps.attach('cat', streams, {
        signal: new AbortController().signal,
        closeStdin,
      }));
    };
    await start('cat', 'cat; echo end', { stdin: true, spec: { stdinOnce: true }, before });
    const text = `${numbers(100_000).join('\n')}\n`;
    stdin.end(text);
    assert.equal(await exited('cat'), 0);
    await pumps.drain('cat', LIMITS);
    await ended;
    assert.equal(output, `${text}end\n`);
  });

  it('does not end the streams that a process left behind holds; their quiet does', async () => {
    await start('left', 'echo said; sleep 1000 &', { spec: { collectBytes: 100 } });
    assert.equal(await exited('left'), 0);
    const { complete, output } = await pumps.drain('left', { quietMs: 200 });
    assert.equal(complete, false);
    assert.equal(Buffer.from(output?.stdout ?? []).toString(), 'said\n');
  });

  it('reports nothing of all this', async () => {
    await engine.client.tasks.kill(host, SIGKILL, { all: true });
    assert.deepEqual(reports, []);
  });
});
