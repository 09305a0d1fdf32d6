import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DirectClient, DirectStreams } from '../../../src/stdio/direct.ts';
import { eventually } from '../../helpers/fixture.ts';
import { numbers, StdioRig } from './rig.ts';

const buffer = Buffer.allocUnsafeSlow(64 * 1024);

function discard(): void {
  // Nothing is done with it.
}

describe('DirectStreams', () => {
  let rig: StdioRig;
  const opened: DirectStreams[] = [];

  beforeEach(async () => {
    rig = await StdioRig.create();
  });

  afterEach(async () => {
    for (const streams of opened.splice(0)) streams.close();
    await rig[Symbol.asyncDispose]();
  });

  function open(
    client: Partial<DirectClient>,
    fifos = rig.fifos('e1'),
  ): { streams: DirectStreams; fifos: typeof fifos } {
    const signal = new AbortController().signal;
    const whole = { stdout: discard, stderr: discard, stdin: undefined, signal, ...client };
    const streams = new DirectStreams(fifos, whole, buffer);
    opened.push(streams);
    return { streams, fifos };
  }

  it('bring both outputs to the last byte, each in order', async () => {
    const texts = { stdout: '', stderr: '' };
    const take = (name: keyof typeof texts) => (chunk: Uint8Array) => {
      texts[name] += Buffer.from(chunk).toString('latin1');
    };
    const { streams, fifos } = open({ stdout: take('stdout'), stderr: take('stderr') });
    using out = rig.shim(fifos.stdout);
    using err = rig.shim(fifos.stderr ?? '');
    await Promise.all([out.run('seq', '200000'), err.run('seq', '100000')]);
    out.close();
    err.close();
    await streams.drain(5_000);
    assert.equal(texts.stdout, `${numbers(200_000).join('\n')}\n`);
    assert.equal(texts.stderr, `${numbers(100_000).join('\n')}\n`);
  });

  it('let the process wait for its client, and lose nothing', async () => {
    let taken = 0;
    const gate = new PassThrough();
    const goes = new Promise((resolve) => gate.once('resume', resolve));
    const { streams, fifos } = open({
      stdout: async (chunk) => {
        await goes;
        taken += chunk.length;
      },
    });
    using shim = rig.shim(fifos.stdout);
    let hasWritten = false;
    const writing = shim.run('seq', '3000000').then(() => {
      hasWritten = true;
    });
    await sleep(500);
    assert.equal(hasWritten, false, 'nobody read, and yet all was written');
    gate.resume();
    await writing;
    shim.close();
    await streams.drain(5_000);
    assert.equal(taken, 22_888_896);
  });

  it('do not take the wait for a slow client for the end', async () => {
    let taken = 0;
    const { streams, fifos } = open({
      stdout: async (chunk) => {
        if (taken === 0) await sleep(1_500);
        taken += chunk.length;
      },
    });
    using shim = rig.shim(fifos.stdout);
    const writing = shim.run('seq', '300000');
    await sleep(100);
    // As long as a busy machine may let the process wait.
    const drained = streams.drain(1_000);
    await writing;
    shim.close();
    await drained;
    assert.equal(taken, 1_988_895);
  });

  it('free a process that waits, when its client goes or can take no more', async () => {
    const gone = new AbortController();
    const stuck = open({ stdout: () => sleep(60_000, undefined, { ref: false }), signal: gone.signal });
    const broken = open(
      {
        stdout: async () => {
          await sleep(100);
          throw new Error('broken');
        },
      },
      rig.fifos('e2'),
    );
    using one = rig.shim(stuck.fifos.stdout);
    using other = rig.shim(broken.fifos.stdout);
    const writing = Promise.all([one.run('seq', '3000000'), other.run('seq', '3000000')]);
    await sleep(200);
    gone.abort(new Error('gone'));
    await assert.rejects(stuck.streams.failed, /gone/);
    await assert.rejects(broken.streams.failed, /broken/);
    await writing;
    await assert.rejects(stuck.streams.drain(5_000), /gone/);
  });

  it('do not wait for a child that keeps an output', async () => {
    let text = '';
    const { streams, fifos } = open({
      stdout: (chunk) => {
        text += Buffer.from(chunk).toString();
      },
    });
    using shim = rig.shim(fifos.stdout);
    await shim.run('seq', '3');
    await streams.drain(300);
    assert.equal(text, '1\n2\n3\n');
  });

  for (const terminal of [false, true]) {
    it(`carry stdin, ${terminal ? 'whose end is none in a terminal' : 'and its end'}`, async () => {
      const stdin = new PassThrough();
      let ends = 0;
      const { streams, fifos } = open({ stdin }, rig.fifos('e1', { stdin: true, terminal }));
      stdin.write('before ');
      const reader = openSync(fifos.stdin ?? '', constants.O_RDONLY | constants.O_NONBLOCK);
      streams.carryStdin(
        terminal
          ? undefined
          : async () => {
              ends += 1;
            },
      );
      stdin.end('after');
      let text = '';
      const bytes = Buffer.alloc(1_024);
      /** The number of bytes; undefined when there are none, but may be some later. */
      const read = (): number | undefined => {
        try {
          const count = readSync(reader, bytes);
          text += bytes.toString('latin1', 0, count);
          return count;
        } catch {
          return undefined;
        }
      };
      await eventually('all of it', () => {
        read();
        return text === 'before after' ? true : undefined;
      });
      if (terminal) {
        await sleep(100);
        assert.equal(read(), undefined);
      } else await eventually('the end', () => (read() === 0 ? true : undefined));
      assert.equal(ends, terminal ? 0 : 1);
      closeSync(reader);
    });
  }

  it('have nothing open when a FIFO is missing', () => {
    const fifos = rig.fifos('e1', { stdin: true });
    for (const name of ['stdin', 'stdout', 'stderr'])
      assert.throws(
        () => open({}, { ...fifos, [name]: `${fifos.directory}/none` }),
        /ENOENT|no such file/i,
        name,
      );
    // Nobody reads it.
    assert.throws(() => openSync(fifos.stdout, constants.O_WRONLY | constants.O_NONBLOCK), /ENXIO/);
  });
});
