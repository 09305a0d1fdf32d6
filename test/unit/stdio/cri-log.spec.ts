import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ByteBuffer, CriLogEncoder } from '../../../src/stdio/cri-log.ts';

interface LogRecord {
  readonly time: string;
  readonly stream: string;
  readonly tag: string;
  readonly content: Buffer;
}

/** Reads the format strictly: what does not have it fails the test. */
function parse(log: Buffer): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = 0; at < log.length; ) {
    const end = log.indexOf(10, at);
    assert.notEqual(end, -1, 'the last record has no end');
    const header = /^(\S+) (stdout|stderr) ([PF]) /.exec(log.toString('latin1', at, end));
    assert.ok(header, log.toString('latin1', at, end));
    const [whole, time = '', stream = '', tag = ''] = header;
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    records.push({ time, stream, tag, content: log.subarray(at + whole.length, end) });
    at = end + 1;
  }
  return records;
}

function encodeAll(chunks: readonly Uint8Array[], limit: number, now = (): bigint => 0n): Buffer {
  const encoder = new CriLogEncoder('stdout', limit);
  const out = new ByteBuffer(16);
  for (const chunk of chunks) encoder.encode(chunk, now(), out);
  encoder.end(now(), out);
  return Buffer.from(out.view());
}

function tagged(log: Buffer): string[] {
  return parse(log).map(({ tag, content }) => `${tag} ${content.toString('latin1')}`);
}

/** The same by definition: lines, a carriage return before the newline dropped, cut into pieces. */
function model(input: Buffer, limit: number): string[] {
  const text = input.toString('latin1');
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const pieces = (line: string, lastTag: string): string[] => {
    const found: string[] = [];
    let at = 0;
    for (; line.length - at > limit; at += limit) found.push(`P ${line.slice(at, at + limit)}`);
    return [...found, `${lastTag} ${line.slice(at)}`];
  };
  return [
    ...lines.flatMap((line) => pieces(line.replace(/\r$/, ''), 'F')),
    ...(rest === '' ? [] : pieces(rest, 'P')),
  ];
}

const bytes = fc
  .array(fc.constantFrom(97, 98, 10, 13, 0, 255), { maxLength: 200 })
  .map((list) => Buffer.from(list));
const chunkSizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 30 });

function cut(input: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < input.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    chunks.push(input.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe('CriLogEncoder', () => {
  const at = 1_700_000_000_123_456_789n;

  it('writes time, stream, tag and content', () => {
    const out = new ByteBuffer(1);
    new CriLogEncoder('stderr', 10).encode(Buffer.from('hello\n'), at, out);
    assert.equal(out.view().toString(), '2023-11-14T22:13:20.123456789Z stderr F hello\n');
  });

  it('does the same as the definition, in any chunking, for any bytes and limit', () => {
    fc.assert(
      fc.property(bytes, chunkSizes, fc.integer({ min: 1, max: 12 }), (input, sizes, limit) => {
        assert.deepEqual(tagged(encodeAll(cut(input, sizes), limit)), model(input, limit));
      }),
      { numRuns: 2_000 },
    );
  });

  it('does so for pieces of real size, too', () => {
    const line = (length: number, end: string): string => 'x'.repeat(length) + end;
    const input = Buffer.from(
      [16_384, 16_385, 0, 40_000, 16_384, 100_000].map((n, i) => line(n, i % 2 ? '\r\n' : '\n')).join('') +
        'tail',
    );
    for (const size of [1, 4_096, 16_384, 16_385, 65_536]) {
      assert.deepEqual(tagged(encodeAll(cut(input, [size]), 16_384)), model(input, 16_384), String(size));
    }
  });

  it('keeps every byte but carriage returns and newlines at the ends of lines', () => {
    fc.assert(
      fc.property(bytes, chunkSizes, fc.integer({ min: 1, max: 12 }), (input, sizes, limit) => {
        const joined = parse(encodeAll(cut(input, sizes), limit))
          .map(({ tag, content }) => content.toString('latin1') + (tag === 'F' ? '\n' : ''))
          .join('');
        assert.equal(joined, input.toString('latin1').replaceAll('\r\n', '\n'));
      }),
    );
  });

  it('splits nothing without a limit', () => {
    for (const limit of [-1, 0]) {
      const long = 'y'.repeat(1_000_000);
      assert.deepEqual(tagged(encodeAll(cut(Buffer.from(`${long}\n`), [65_536]), limit)), [`F ${long}`]);
    }
  });

  it('bounds the memory of a line without an end', () => {
    const encoder = new CriLogEncoder('stdout', 100);
    const out = new ByteBuffer(16);
    for (let i = 0; i < 50; i += 1) {
      encoder.encode(Buffer.alloc(77, i % 7 === 0 ? 13 : 97), 0n, out);
      assert.ok(encoder.held <= 101, String(encoder.held));
    }
  });

  it('splits even a line without limit before it fills the memory', () => {
    const encoder = new CriLogEncoder('stdout', -1);
    const out = new ByteBuffer(16);
    const chunk = Buffer.alloc(1024 * 1024, 97);
    for (let i = 0; i < 20; i += 1) encoder.encode(chunk, 0n, out);
    assert.ok(encoder.held <= 16 * 1024 * 1024);
    assert.equal(parse(Buffer.from(out.view()))[0]?.tag, 'P');
  });

  it('writes nothing at the end of a stream whose last line is whole', () => {
    assert.deepEqual(tagged(encodeAll([Buffer.from('a\n')], 10)), ['F a']);
    assert.deepEqual(tagged(encodeAll([], 10)), []);
  });

  it('goes on after an end as a stream that begins', () => {
    const encoder = new CriLogEncoder('stdout', 10);
    const out = new ByteBuffer(16);
    encoder.encode(Buffer.from('ab'), 0n, out);
    encoder.end(0n, out);
    encoder.encode(Buffer.from('c\n'), 0n, out);
    assert.deepEqual(tagged(Buffer.from(out.view())), ['P ab', 'F c']);
  });

  it('gives each record a later time than the one before, also when the clock steps back a little', () => {
    const clocks = fc.array(fc.bigInt({ min: at, max: at + 999_000_000n }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(clocks, (clock) => {
        const encoder = new CriLogEncoder('stdout', 10);
        const out = new ByteBuffer(16);
        for (const nanos of clock) encoder.encode(Buffer.from('a\nb\nc\n'), nanos, out);
        const times = parse(out.view()).map(({ time }) => time);
        assert.deepEqual(times, [...new Set(times)].sort());
      }),
    );
  });

  it('follows a clock that was set back', () => {
    const out = new ByteBuffer(16);
    const encoder = new CriLogEncoder('stdout', 10);
    encoder.encode(Buffer.from('a\n'), at, out);
    encoder.encode(Buffer.from('b\n'), at - 3_600_000_000_000n, out);
    encoder.encode(Buffer.from('c\n'), at - 3_600_000_000_000n, out);
    assert.deepEqual(
      parse(out.view()).map(({ time }) => time),
      ['2023-11-14T22:13:20.123456789Z', '2023-11-14T21:13:20.123456789Z', '2023-11-14T21:13:20.123456790Z'],
    );
  });

  it('carries a nanosecond over into the next year', () => {
    const last = BigInt(Date.UTC(2024, 11, 31, 23, 59, 59)) * 1_000_000n + 999_999_999n;
    const out = new ByteBuffer(16);
    new CriLogEncoder('stdout', 10).encode(Buffer.from('a\nb\nc\n'), last, out);
    assert.deepEqual(
      parse(out.view()).map(({ time }) => time),
      ['2024-12-31T23:59:59.999999999Z', '2025-01-01T00:00:00.000000000Z', '2025-01-01T00:00:00.000000001Z'],
    );
  });

  it('has the time of reading on the first record of a chunk', () => {
    const out = new ByteBuffer(16);
    const encoder = new CriLogEncoder('stdout', 10);
    encoder.encode(Buffer.from('a\n'), at, out);
    encoder.encode(Buffer.from('b\n'), at + 5_000_000_000n, out);
    assert.equal(parse(out.view())[1]?.time, '2023-11-14T22:13:25.123456789Z');
  });
});
