import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../../../src/lib/atomic-file.ts';
import { deadlineSignal, raceSignal, sleep } from '../../../src/lib/deadline.ts';
import { BerthError, wrap } from '../../../src/lib/errors.ts';
import { newId, resolveId } from '../../../src/lib/id.ts';
import { KeyedLock } from '../../../src/lib/keyed-lock.ts';
import { Rollback } from '../../../src/lib/rollback.ts';
import { nowNanos } from '../../../src/lib/time.ts';

describe('Rollback', () => {
  it('undoes in reverse, past a step that fails, and names it', async () => {
    const undone: string[] = [];
    const rollback = new Rollback();
    rollback.add('first', () => void undone.push('first'));
    rollback.add('second', () => {
      throw new Error('busy');
    });
    rollback.add('third', async () => void undone.push('third'));
    assert.deepEqual(await rollback.run(), [{ name: 'second', message: 'busy' }]);
    assert.deepEqual(undone, ['third', 'first']);
  });
});

describe('KeyedLock', () => {
  it('runs one after another by key, side by side across keys, and goes on after a failure', async () => {
    const lock = new KeyedLock();
    const order: string[] = [];
    const step = (name: string, ms: number) => async (): Promise<void> => {
      order.push(`+${name}`);
      await sleep(ms);
      order.push(`-${name}`);
      if (name === 'a1') throw new Error('a1 failed');
    };
    const all = Promise.allSettled([
      lock.with('a', step('a1', 20)),
      lock.with('a', step('a2', 1)),
      lock.with('b', step('b1', 5)),
    ]);
    await lock.idle();
    const outcomes = await all;
    assert.deepEqual(
      outcomes.map((o) => o.status),
      ['rejected', 'fulfilled', 'fulfilled'],
    );
    assert.deepEqual(order, ['+a1', '+b1', '-b1', '-a1', '+a2', '-a2']);
  });
});

describe('resolveId', () => {
  const known = new Map([
    ['abc1', 1],
    ['abd2', 2],
    ['ab', 3],
  ]);
  it('takes a whole id, even when others begin with it', () => assert.equal(resolveId('ab', known), 'ab'));
  it('takes a unique prefix', () => assert.equal(resolveId('abc', known), 'abc1'));
  it('finds nothing for an unknown id or an empty one', () => {
    assert.equal(resolveId('x', known), undefined);
    assert.equal(resolveId('', known), undefined);
  });
  it('refuses an ambiguous prefix', () => {
    const ambiguous = new Map([...known].filter(([id]) => id !== 'ab'));
    assert.throws(
      () => resolveId('ab', ambiguous),
      (e) => e instanceof BerthError && e.code === 'INVALID_ARGUMENT',
    );
  });
  it('new ids are 64 hex digits', () => assert.match(newId(), /^[0-9a-f]{64}$/));
});

describe('writeFileAtomic', () => {
  let directory = '';
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-atomic-'));
  });
  after(() => rm(directory, { recursive: true }));

  it('replaces a file as a whole, 0600 by default, and leaves no temporary file', async () => {
    const path = join(directory, 'a.json');
    await Promise.all(
      ['1', '2', '3'].map((text) => writeFileAtomic(path, text.repeat(10_000), { sync: true })),
    );
    assert.match(await readFile(path, 'utf8'), /^(1+|2+|3+)$/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(directory), ['a.json']);
  });

  it('fails with the reason when the directory is gone', async () => {
    await assert.rejects(writeFileAtomic(join(directory, 'none', 'a'), 'x'), { code: 'ENOENT' });
  });
});

describe('deadlineSignal', () => {
  it('aborts with DEADLINE_EXCEEDED that says what took too long', async () => {
    using deadline = deadlineSignal('the CNI chain', 5);
    await assert.rejects(raceSignal(sleep(1_000), deadline.signal), (error) => {
      return (
        error instanceof BerthError &&
        error.code === 'DEADLINE_EXCEEDED' &&
        error.message.startsWith('the CNI chain took')
      );
    });
  });

  it('takes as long as it is told, also when that is more than a timer of Node takes', async () => {
    const month = 31 * 24 * 3_600_000;
    const stop = new AbortController();
    using deadline = deadlineSignal('x', month);
    const first = await Promise.race([
      sleep(month, stop.signal).then(() => 'a month'),
      sleep(20).then(() => '20 ms'),
    ]);
    stop.abort();
    assert.equal(first, '20 ms');
    assert.equal(deadline.signal.aborted, false);
  });

  it('passes the reason of its parent on', () => {
    const parent = new AbortController();
    using deadline = deadlineSignal('x', 60_000, parent.signal);
    parent.abort(new Error('gone'));
    assert.equal((deadline.signal.reason as Error).message, 'gone');
  });
});

describe('errors', () => {
  it('wrap keeps the code of the cause and puts the deed in front', () => {
    const error = wrap('failed to stop sandbox "x"', new BerthError('UNAVAILABLE', 'no engine'));
    assert.equal(error.code, 'UNAVAILABLE');
    assert.equal(error.message, 'failed to stop sandbox "x": no engine');
  });
});

describe('nowNanos', () => {
  /** Its time, which has to lie between two looks at the system clock, however long they were apart. */
  function read(): bigint {
    const before = BigInt(Date.now()) * 1_000_000n;
    const now = nowNanos();
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    const tolerance = 2_000_000n;
    assert.ok(now >= before && now < after + tolerance, `${now} is not between ${before} and ${after}`);
    return now;
  }

  it('agrees with the system clock and is finer', () => {
    const seen = new Set<bigint>();
    const milliseconds = new Set<bigint>();
    for (let i = 0; i < 5_000; i += 1) {
      const now = read();
      seen.add(now);
      milliseconds.add(now / 1_000_000n);
    }
    assert.ok(seen.size > milliseconds.size, `${seen.size} times in ${milliseconds.size} ms`);
  });

  it('follows the system clock when that is set', () => {
    const real = Date.now;
    nowNanos();
    try {
      for (const shift of [-3_600_000, 7_200_000]) {
        Date.now = () => real() + shift;
        read();
      }
    } finally {
      Date.now = real;
    }
  });
});
