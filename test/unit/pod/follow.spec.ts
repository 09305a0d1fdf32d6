import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { follow } from '../../../src/pod/container/exec.ts';
import type { TerminalSize } from '../../../src/streaming/runtime.ts';
import { eventually } from '../../helpers/fixture.ts';

describe('the size of a terminal', () => {
  it('is the last of many that come at once, and each that comes alone', async () => {
    const set: number[] = [];
    const sizes = async function* (): AsyncGenerator<TerminalSize> {
      for (let width = 1; width <= 500; width += 1) yield { width, height: 1 };
      await sleep(100);
      yield { width: 501, height: 1 };
    };
    follow(sizes(), async ({ width }) => {
      await sleep(10);
      set.push(width);
      if (width === 1) throw new Error('cannot be set');
    });
    await eventually('the last', () => (set.at(-1) === 501 ? true : undefined));
    assert.deepEqual(set, [1, 500, 501]);
  });
});
