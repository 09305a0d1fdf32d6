import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { createLogger } from '../../../src/lib/log.ts';

describe('the log', () => {
  it('loses lines while its reader stands still, and tells how many', async () => {
    const read: string[] = [];
    let goOn = (): void => undefined;
    const stream = new Writable({
      decodeStrings: false,
      write(line: string, _encoding, done) {
        read.push(line);
        goOn = done;
      },
    });
    const log = createLogger({ level: 'info', format: 'json' }, stream);
    const text = 'x'.repeat(10_000);
    for (let number = 0; number < 200; number += 1) log.info('line', { number, text });
    assert.ok(stream.writableLength < (1 << 20) + 20_000, `${stream.writableLength} bytes wait`);
    const seen = { drained: false };
    stream.once('drain', () => (seen.drained = true));
    while (!seen.drained) {
      goOn();
      await new Promise(setImmediate);
    }
    log.info('after');
    goOn();
    await new Promise(setImmediate);
    const lines = read.map((line) => JSON.parse(line) as { msg: string; number?: number; lines?: number });
    const kept = lines.filter(({ msg }) => msg === 'line');
    assert.deepEqual(
      kept.map(({ number }) => number),
      kept.map((_, index) => index),
    );
    const [lost, after] = lines.slice(kept.length);
    assert.deepEqual(
      [lost?.msg, lost?.lines],
      ['log lines were lost: their reader stood still', 200 - kept.length],
    );
    assert.equal(after?.msg, 'after');
  });
});
