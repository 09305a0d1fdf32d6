import assert from 'node:assert/strict';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { sleepSync } from '../../../src/kernel/sleep.ts';
import { DIRECT_READ_BYTES, DirectStreams } from '../../../src/stdio/direct.ts';
import { createFifos, type FifoPaths } from '../../../src/stdio/fifos.ts';
import { Pump, PumpBuffers } from '../../../src/stdio/pump.ts';
import { Scratch } from '../../helpers/fixture.ts';

const LAST_WORDS = 'last words';
const LIMIT_MS = 20;

describe('output of a process that has ended, on a thread that was held up until it is called quiet', () => {
  let scratch: Scratch;
  let fifos: FifoPaths;
  let writer: number;

  beforeEach(async () => {
    scratch = await Scratch.create();
    fifos = createFifos(scratch.path, 'c1', { stdin: false, terminal: true });
  });
  afterEach(async () => {
    closeSync(writer);
    await scratch[Symbol.asyncDispose]();
  });

  /** Something holds the FIFO open; the time passes before anybody could look. */
  function speakAndHoldUp(): void {
    writer = openSync(fifos.stdout, constants.O_WRONLY);
    writeSync(writer, LAST_WORDS);
    sleepSync(3 * LIMIT_MS);
  }

  for (const limit of ['quietMs', 'timeoutMs'] as const) {
    it(`is read all the same by a pump (${limit})`, async () => {
      const pump = new Pump(
        { id: 'c1', ...fifos, terminal: true, collectBytes: 100 },
        new PumpBuffers(),
        () => assert.fail('a report'),
      );
      const drained = pump.drain({ [limit]: LIMIT_MS });
      speakAndHoldUp();
      const { complete, output } = await drained;
      assert.equal(complete, false);
      assert.equal(Buffer.from(output?.stdout ?? []).toString(), LAST_WORDS);
    });
  }

  it('is read all the same for a client', async () => {
    let text = '';
    const client = {
      stdout: (chunk: Uint8Array) => {
        text += Buffer.from(chunk).toString();
      },
      stderr: () => assert.fail('a terminal has none'),
      stdin: undefined,
      signal: new AbortController().signal,
    };
    const streams = new DirectStreams(fifos, client, Buffer.allocUnsafeSlow(DIRECT_READ_BYTES));
    const drained = streams.drain(LIMIT_MS);
    speakAndHoldUp();
    await drained;
    streams.close();
    assert.equal(text, LAST_WORDS);
  });
});
