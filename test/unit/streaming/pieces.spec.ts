import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BerthError } from '../../../src/lib/errors.ts';
import { InputQueue } from '../../../src/streaming/channel.ts';
import { listOf, negotiate } from '../../../src/streaming/protocols.ts';
import { encodeStatus, exitStatus, internalError, SUCCESS } from '../../../src/streaming/status.ts';
import { terminalSizes } from '../../../src/streaming/terminal-size.ts';
import { TOKEN_MS, Tokens } from '../../../src/streaming/tokens.ts';
import { textOf } from '../../helpers/streaming/client.ts';

describe('streaming tokens', () => {
  it('are good once', () => {
    const tokens = new Tokens<string>();
    const token = tokens.add('request');
    assert.equal(tokens.take(token), 'request');
    assert.equal(tokens.take(token), undefined);
    assert.equal(tokens.take('another'), undefined);
  });

  it('are good for a minute, and cannot be guessed', () => {
    let now = 0;
    const tokens = new Tokens<string>(() => now);
    const [first, second] = [tokens.add('a'), tokens.add('b')];
    assert.ok(first.length >= 22 && /^[\w-]+$/.test(first));
    now = TOKEN_MS - 1;
    assert.equal(tokens.take(first), 'a');
    now = TOKEN_MS;
    assert.equal(tokens.take(second), undefined);
  });

  it('wait 1,000 at a time, and make room when they are used or too old', () => {
    let now = 0;
    const tokens = new Tokens<number>(() => now);
    const given = Array.from({ length: 1_000 }, (_, index) => tokens.add(index));
    assert.equal(new Set(given).size, 1_000);
    const isFull = (error: unknown): boolean =>
      error instanceof BerthError &&
      error.code === 'RESOURCE_EXHAUSTED' &&
      error.message === 'maximum number of in-flight requests exceeded';
    assert.throws(() => tokens.add(0), isFull);
    assert.equal(tokens.take(given[7] ?? ''), 7);
    tokens.add(0);
    assert.throws(() => tokens.add(0), isFull);
    now = TOKEN_MS;
    for (let index = 0; index < 1_000; index += 1) tokens.add(index);
    assert.throws(() => tokens.add(0), isFull);
  });
});

describe('streaming protocols', () => {
  it('are chosen in the order of the client, over several headers and lists', () => {
    const spoken = ['v4', 'v3'];
    assert.equal(negotiate(listOf(['v5, v3', 'v4']), spoken), 'v3');
    assert.equal(negotiate(listOf(' v4 ,,v3'), spoken), 'v4');
    assert.equal(negotiate(listOf('v9'), spoken), undefined);
    assert.deepEqual(listOf(undefined), []);
  });
});

describe('the outcome of a command', () => {
  it('has its exit code where clients look for it', () => {
    const status = JSON.parse(
      Buffer.from(encodeStatus(exitStatus(['sh', '-c', 'x'], 5), true)).toString(),
    ) as unknown;
    assert.deepEqual(status, {
      metadata: {},
      status: 'Failure',
      message: 'command terminated with non-zero exit code: error executing command [sh -c x], exit code 5',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '5' }] },
    });
  });

  it('is a success in JSON, and nothing for older clients', () => {
    assert.equal(
      Buffer.from(encodeStatus(exitStatus(['true'], 0), true)).toString(),
      '{"metadata":{},"status":"Success"}',
    );
    assert.equal(encodeStatus(SUCCESS, false).length, 0);
  });

  it('is the text of a failure for older clients', () => {
    assert.equal(
      Buffer.from(encodeStatus(internalError('no'), false)).toString(),
      'Internal error occurred: no',
    );
  });
});

describe('terminal sizes', () => {
  async function sizesOf(chunks: readonly string[]): Promise<string[]> {
    const sizes: string[] = [];
    const input = (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    })();
    for await (const { width, height } of terminalSizes(input)) sizes.push(`${width}x${height}`);
    return sizes;
  }

  it('are read in whatever pieces they come', async () => {
    const text = '{"Width":80,"Height":24}\n{"Width":132,"Height":43}{"Height":1,"Width":65535}';
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: text.length }), { maxLength: 6 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        const chunks = at.slice(1).map((end, index) => text.slice(at[index], end));
        const sizes = await sizesOf(chunks);
        const all = ['80x24', '132x43', '65535x1'];
        assert.deepEqual(
          sizes,
          all.filter((size) => sizes.includes(size)),
        );
        assert.equal(sizes.at(-1), all.at(-1));
      }),
    );
    assert.deepEqual(await sizesOf(text.split(/(?<=})/)), ['80x24', '132x43', '65535x1']);
  });

  it('that come at once are only the last of them', async () => {
    const many = '{"Width":1,"Height":1}'.repeat(100_000);
    assert.deepEqual(await sizesOf([`${many}{"Width":2,"Height":2}{"Wid`, 'th":3,"Height":3}']), [
      '2x2',
      '3x3',
    ]);
    assert.deepEqual(await sizesOf(['}'.repeat(100_000), '{}'.repeat(100_000), many]), ['1x1']);
  });

  it('that are none are passed over', async () => {
    const none = [
      '{"Width":0,"Height":24}',
      '{"Width":80}',
      '{"Width":"8","Height":1}',
      'x}',
      '{"Width":70000,"Height":1}',
    ];
    assert.deepEqual(await sizesOf([...none, 'y'.repeat(10_000), '}', '{"Width":1,"Height":2}']), ['1x2']);
  });
});

describe('an input queue', () => {
  it('gives what came before the end, and counts what was taken', async () => {
    let taken = 0;
    const queue = new InputQueue((bytes) => {
      taken += bytes;
    });
    queue.push(Buffer.from('ab'));
    queue.push(Buffer.from('c'));
    assert.equal(taken, 0);
    queue.end();
    queue.push(Buffer.from('late'));
    assert.equal(await textOf(queue), 'abc');
    assert.equal(taken, 7);
  });

  it('discards what nobody wants, and counts it as taken', async () => {
    let taken = 0;
    const queue = new InputQueue((bytes) => {
      taken += bytes;
    });
    queue.push(Buffer.from('ab'));
    queue.discard();
    queue.push(Buffer.from('cd'));
    assert.equal(taken, 4);
    assert.deepEqual(await queue.next(), { value: undefined, done: true });
  });

  it('lets a wait end with the connection', async () => {
    const queue = new InputQueue(() => undefined);
    const waiting = queue.next();
    queue.fail(new Error('gone'));
    await assert.rejects(waiting, /gone/);
    await assert.rejects(queue.next(), /gone/);
  });
});
