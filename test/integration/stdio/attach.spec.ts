import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttachStreams } from '../../../src/stdio/attach.ts';
import { eventually } from '../../helpers/fixture.ts';
import { numbers, StdioRig, wholeLines } from './rig.ts';

/** Takes what is attached to it. */
class Sink {
  text = '';
  readonly take = (chunk: Uint8Array): void => {
    this.text += Buffer.from(chunk).toString('latin1');
  };
}

function never(): AbortSignal {
  return new AbortController().signal;
}

describe('attach', () => {
  let rig: StdioRig;
  beforeEach(async () => {
    rig = await StdioRig.create();
  });
  afterEach(() => rig[Symbol.asyncDispose]());

  it('gives every client the output as it is, besides the log, until its end', async () => {
    const { stdout, stderr = '' } = await rig.start('c1');
    const [both, one] = [new Sink(), new Sink()];
    const errors = new Sink();
    const attachments = [
      await rig.pumps.attach('c1', { stdout: both.take, stderr: errors.take }, { signal: never() }),
      await rig.pumps.attach('c1', { stdout: one.take }, { signal: never() }),
    ];
    using out = rig.shim(stdout);
    using err = rig.shim(stderr);
    await out.run('seq', '100000');
    await err.run('printf', 'no line');
    out.close();
    err.close();
    await rig.pumps.drain('c1', {});
    await Promise.all(attachments.map(({ ended }) => ended));
    const expected = `${numbers(100_000).join('\n')}\n`;
    assert.equal(both.text, expected);
    assert.equal(one.text, expected);
    assert.equal(errors.text, 'no line');
    assert.equal(wholeLines(rig.log('c1')).length, 100_001);
  });

  it('detaches one client and leaves the others', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const [leaves, stays] = [new Sink(), new Sink()];
    const leaving = new AbortController();
    const left = await rig.pumps.attach('c1', { stdout: leaves.take }, { signal: leaving.signal });
    const stayed = await rig.pumps.attach('c1', { stdout: stays.take }, { signal: never() });
    await shim.run('seq', '1', '2');
    await eventually('output', () => (leaves.text === '1\n2\n' ? true : undefined));
    leaving.abort(new Error('gone'));
    await assert.rejects(left.ended, /gone/);
    await shim.run('seq', '3', '4');
    shim.close();
    await rig.pumps.drain('c1', {});
    await stayed.ended;
    assert.equal(leaves.text, '1\n2\n');
    assert.equal(stays.text, '1\n2\n3\n4\n');
  });

  it('drops a client that does not read, and neither the log nor other clients wait for it', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const good = new Sink();
    const stuck = await rig.pumps.attach('c1', { stdout: () => sleep(60_000) }, { signal: never() });
    const read = await rig.pumps.attach('c1', { stdout: good.take }, { signal: never() });
    await shim.run('seq', '4000000');
    await assert.rejects(stuck.ended, {
      code: 'RESOURCE_EXHAUSTED',
      message: 'failed to attach: the client is too slow',
    });
    shim.close();
    await rig.pumps.drain('c1', {});
    await read.ended;
    assert.equal(good.text.length, 30_888_896);
    assert.equal(rig.log('c1').length, 4_000_000);
  });

  it('ends only when a slow client has taken the last byte', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const sink = new Sink();
    const attachment = await rig.pumps.attach(
      'c1',
      {
        stdout: async (chunk) => {
          await sleep(50);
          sink.take(chunk);
        },
      },
      { signal: never() },
    );
    await shim.run('seq', '20000');
    shim.close();
    await rig.pumps.drain('c1', {});
    await attachment.ended;
    assert.equal(sink.text, `${numbers(20_000).join('\n')}\n`);
  });

  it('ends with what a taker throws', async () => {
    const { stdout } = await rig.start('c1');
    using shim = rig.shim(stdout);
    const attachment = await rig.pumps.attach(
      'c1',
      {
        stdout: () => {
          throw new Error('broken pipe');
        },
      },
      { signal: never() },
    );
    await shim.run('seq', '3');
    await assert.rejects(attachment.ended, /broken pipe/);
  });

  it('ends at once for a client that is gone already', async () => {
    await rig.start('c1');
    const attachment = await rig.pumps.attach('c1', {}, { signal: AbortSignal.abort(new Error('gone')) });
    await assert.rejects(attachment.ended, /gone/);
  });

  describe('stdin', () => {
    /** The container's side of a stdin FIFO. */
    const reader = (path: string): { read(): string | undefined; close(): void } => {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const buffer = Buffer.alloc(65_536);
      return {
        /** What is there; '' at the end, undefined while there is nothing. */
        read: () => {
          try {
            return buffer.toString('latin1', 0, readSync(fd, buffer));
          } catch {
            return undefined;
          }
        },
        close: () => closeSync(fd),
      };
    };
    const attach = async (streams: AttachStreams): Promise<{ ended: Promise<void> }> =>
      rig.pumps.attach('c1', streams, { signal: never() });

    it('reaches the container and stays open after the client, unless it is there for one', async () => {
      const { stdin = '' } = await rig.start('c1', { stdinOnce: false });
      const container = reader(stdin);
      try {
        for (const text of ['first\n', 'second\n']) {
          const stream = new PassThrough();
          const attachment = await attach({ stdin: stream, stdout: () => undefined });
          stream.end(text);
          await attachment.ended;
          assert.equal(await eventually(text, () => container.read()), text);
        }
        assert.equal(container.read(), undefined);
      } finally {
        container.close();
      }
    });

    it('once: ends for the container with the first client, whose session goes on', async () => {
      const { stdin = '', stdout } = await rig.start('c1', { stdinOnce: true });
      const container = reader(stdin);
      using shim = rig.shim(stdout);
      const sink = new Sink();
      const stream = new PassThrough();
      const attachment = await attach({ stdin: stream, stdout: sink.take });
      stream.end('all');
      assert.equal(await eventually('the bytes', () => container.read()), 'all');
      await eventually('the end', () => (container.read() === '' ? true : undefined));
      container.close();
      writeSync(shim.writer, 'answer');
      await eventually('the answer', () => (sink.text === 'answer' ? true : undefined));
      const late = await attach({ stdin: PassThrough.from([Buffer.from('late')]) });
      await assert.rejects(late.ended, { code: 'FAILED_PRECONDITION' });
      shim.close();
      await rig.pumps.drain('c1', {});
      await attachment.ended;
    });

    it('once: ends for the container also when its client just goes, and the engine is told', async () => {
      const { stdin = '' } = await rig.start('c1', { stdinOnce: true });
      const container = reader(stdin);
      const client = new AbortController();
      let closed = 0;
      const closeStdin = async (): Promise<void> => {
        closed += 1;
      };
      const stream = new PassThrough();
      const { ended } = await rig.pumps.attach(
        'c1',
        { stdin: stream, stdout: () => undefined },
        { signal: client.signal, closeStdin },
      );
      stream.write('some');
      assert.equal(await eventually('the bytes', () => container.read()), 'some');
      assert.equal(container.read(), undefined);
      client.abort(new Error('gone'));
      await assert.rejects(ended, /gone/);
      await eventually('the end', () => (container.read() === '' ? true : undefined));
      await eventually('it is told', () => (closed === 1 ? true : undefined));
      container.close();
    });

    it('once, in a terminal: ends the session only', async () => {
      const { stdin = '' } = await rig.start('c1', { stdinOnce: true, terminal: true });
      const container = reader(stdin);
      const stream = new PassThrough();
      const attachment = await attach({ stdin: stream, stdout: () => undefined });
      stream.end('exit\n');
      await attachment.ended;
      assert.equal(await eventually('the bytes', () => container.read()), 'exit\n');
      assert.equal(container.read(), undefined);
      container.close();
    });

    it('waits for a container that does not read, and brings everything in order when it does', async () => {
      const { stdin = '' } = await rig.start('c1', { stdinOnce: true });
      const container = reader(stdin);
      const text = numbers(200_000).join('\n');
      let offered = 0;
      const chunks = async function* (): AsyncGenerator<Buffer> {
        for (let at = 0; at < text.length; at += 32_768) {
          offered = at;
          yield Buffer.from(text.slice(at, at + 32_768));
        }
      };
      await attach({ stdin: chunks(), stdout: () => undefined });
      await sleep(200);
      assert.ok(offered < 200_000, `${offered} bytes were taken from the client, and nobody reads`);
      let received = '';
      await eventually('the end', () => {
        for (let part = container.read(); part !== undefined; part = container.read()) {
          if (part === '') return true;
          received += part;
        }
        return undefined;
      });
      assert.equal(received, text);
      container.close();
    });

    it('is not read from a client whose container has none', async () => {
      const { stdout } = await rig.start('c1');
      using shim = rig.shim(stdout);
      const sink = new Sink();
      const attachment = await attach({ stdin: PassThrough.from([Buffer.from('x')]), stdout: sink.take });
      await shim.run('seq', '2');
      shim.close();
      await rig.pumps.drain('c1', {});
      await attachment.ended;
      assert.equal(sink.text, '1\n2\n');
    });
  });
});
