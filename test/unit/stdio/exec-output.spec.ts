import assert from 'node:assert/strict';
import { ExecOutputCollector } from '../../../src/stdio/exec-output.ts';

describe('ExecOutputCollector', () => {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  it('keeps the streams apart and in order', () => {
    const collector = new ExecOutputCollector(100);
    collector.write('stdout', Buffer.from('a'));
    collector.write('stderr', Buffer.from('x'));
    collector.write('stdout', Buffer.from('b'));
    const { stdout, stderr, droppedBytes } = collector.output();
    assert.deepEqual([text(stdout), text(stderr), droppedBytes], ['ab', 'x', 0]);
  });

  it('cuts each stream at the limit and counts the rest', () => {
    const collector = new ExecOutputCollector(5);
    for (const chunk of ['abc', 'def', 'ghi']) collector.write('stdout', Buffer.from(chunk));
    collector.write('stderr', Buffer.from('12345'));
    const { stdout, stderr, droppedBytes } = collector.output();
    assert.deepEqual([text(stdout), text(stderr), droppedBytes], ['abcde', '12345', 4]);
  });

  it('takes a copy: the chunk is used again', () => {
    const collector = new ExecOutputCollector(100);
    const chunk = Buffer.from('abc');
    collector.write('stdout', chunk);
    chunk.fill('z');
    assert.equal(text(collector.output().stdout), 'abc');
  });

  it('takes no more memory for many small chunks than for one', () => {
    const collector = new ExecOutputCollector(1 << 20);
    const chunk = Buffer.from('x');
    const before = process.memoryUsage();
    for (let count = 0; count < 1 << 20; count += 1) collector.write('stdout', chunk);
    const { heapUsed, external } = process.memoryUsage();
    // A buffer for each took a hundred megabytes.
    assert.ok(heapUsed + external - before.heapUsed - before.external < 32 << 20);
    assert.equal(collector.output().stdout.length, 1 << 20);
  });

  it('hands out memory of its own', () => {
    const collector = new ExecOutputCollector(100);
    collector.write('stdout', Buffer.from('abc'));
    assert.equal(collector.output().stdout.buffer.byteLength, 3);
  });
});
