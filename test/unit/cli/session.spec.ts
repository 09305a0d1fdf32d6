import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough, Readable, Writable } from 'node:stream';
import { codeOfStatus, runSession } from '../../../src/cli/pod/session.ts';
import { createLogger } from '../../../src/lib/log.ts';
import type { StreamingRuntime } from '../../../src/streaming/runtime.ts';
import { StreamingServer } from '../../../src/streaming/server.ts';
import { openTunnel } from '../../../src/streaming/websocket/client.ts';

function contextOf(stdin: Readable, signal = new AbortController().signal): Parameters<typeof runSession>[2] {
  const ignored = (): void => undefined;
  const streams = { stdin, stdout: new PassThrough(), stderr: new PassThrough() };
  return { env: {}, stdout: ignored, stderr: ignored, onInquiry: ignored, streams, signal };
}

describe('the session of berth pod exec', () => {
  it('says that stdin cannot be read, and not that the connection was lost', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const runtime = { exec: never, attach: never, connect: never };
    const log = createLogger({ level: 'fatal', format: 'text' });
    const server = new StreamingServer({ address: '127.0.0.1', port: 0, log, runtime });
    await server.start();
    try {
      const streams = { stdin: true, stdout: true, stderr: true, tty: false };
      const url = server.urlFor({ kind: 'exec', containerId: 'c', cmd: ['cmd'], ...streams });
      const stdin = new Readable({
        read() {
          this.destroy(new Error('EISDIR: illegal operation on a directory, read'));
        },
      });
      await assert.rejects(runSession(url, streams, contextOf(stdin)), {
        message: 'failed to read stdin: EISDIR: illegal operation on a directory, read',
      });
    } finally {
      await server.stop();
    }
  });

  it('waits once for a reader that takes its time, however many pieces have come by then', async () => {
    const PIECES = 2_000;
    const runtime: StreamingRuntime = {
      exec: async (_request, { stdout }) => {
        for (let i = 0; i < PIECES; i += 1) await stdout?.(Buffer.alloc(20));
        return 0;
      },
      attach: () => Promise.reject(new Error('no attach')),
      connect: () => Promise.reject(new Error('nobody listens')),
    };
    const log = createLogger({ level: 'fatal', format: 'text' });
    const server = new StreamingServer({ address: '127.0.0.1', port: 0, log, runtime });
    await server.start();
    try {
      const streams = { stdin: false, stdout: true, stderr: true, tty: false };
      const url = server.urlFor({ kind: 'exec', containerId: 'c', cmd: ['cmd'], ...streams });
      let bytes = 0;
      let most = 0;
      const stdout = new Writable({
        highWaterMark: 100,
        write(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          most = Math.max(most, stdout.listenerCount('drain'));
          setImmediate(done);
        },
      });
      const context = contextOf(new PassThrough());
      const code = await runSession(url, streams, { ...context, streams: { ...context.streams, stdout } });
      stdout.end();
      await once(stdout, 'finish');
      assert.deepEqual([code, bytes], [0, PIECES * 20]);
      assert.ok(most <= 1, `${most} listeners`);
    } finally {
      await server.stop();
    }
  });

  it('is given up when it is interrupted before the server has answered, or earlier', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/exec/x`;
    const reason = new Error('interrupted by SIGINT');
    try {
      for (const open of [
        (signal: AbortSignal) =>
          runSession(url, { stdin: false, tty: false }, contextOf(Readable.from([]), signal)),
        (signal: AbortSignal) => openTunnel(url, { signal }),
      ]) {
        const later = new AbortController();
        const opening = open(later.signal);
        await once(silent, 'connection');
        later.abort(reason);
        await assert.rejects(opening, reason);
        await assert.rejects(open(AbortSignal.abort(reason)), reason);
      }
    } finally {
      silent.close();
    }
  });
});

describe('the status that a server ends with', () => {
  const failure = (rest: object): string => JSON.stringify({ status: 'Failure', message: 'no', ...rest });
  const exit = (message: string): object => ({ details: { causes: [{ reason: 'ExitCode', message }] } });

  it('has the exit code', () => {
    assert.equal(codeOfStatus('{"status":"Success"}'), 0);
    assert.equal(codeOfStatus(failure(exit('137'))), 137);
  });

  it('is the error when it has none, whatever else it lacks', () => {
    const forms = [
      {},
      { details: {} },
      { details: { causes: [] } },
      { details: { causes: [{}] } },
      exit(''),
      exit('0'),
      exit('-1'),
    ];
    for (const rest of forms)
      assert.throws(() => codeOfStatus(failure(rest)), { code: 'UNKNOWN', message: 'no' });
  });

  it('is named when it is none', () => {
    for (const text of ['null', '7', 'gone'])
      assert.throws(() => codeOfStatus(text), {
        code: 'INTERNAL',
        message: `the server ended with what is no status: ${text}`,
      });
    assert.throws(() => codeOfStatus(''), { code: 'UNAVAILABLE', message: 'the connection was lost' });
  });
});
