import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { Gate } from '../../../../src/network/cni/gate.ts';

function held(): { promise: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

const never = new AbortController().signal;

describe('the gate between chains and garbage collection', () => {
  it('lets shared work run together', async () => {
    const gate = new Gate();
    const first = held();
    const running = gate.shared(() => first.promise, never);
    assert.equal(await gate.shared(async () => 'second', never), 'second');
    first.release();
    await running;
  });

  it('runs exclusive work alone, and shared work after it', async () => {
    const gate = new Gate();
    const order: string[] = [];
    const add = held();
    const gc = held();
    const adding = gate.shared(() => add.promise, never);
    const collecting = gate.exclusive(async () => {
      order.push('gc');
      await gc.promise;
      order.push('gc done');
    }, never);
    await turn();
    assert.equal(order.length, 0);
    add.release();
    await adding;
    await turn();
    const late = gate.shared(async () => order.push('late'), never);
    await turn();
    assert.deepEqual(order, ['gc']);
    gc.release();
    await Promise.all([collecting, late]);
    assert.deepEqual(order, ['gc', 'gc done', 'late']);
  });

  it('does not hold newcomers up behind exclusive work that waits', async () => {
    const gate = new Gate();
    const hanging = held();
    const controller = new AbortController();
    const adding = gate.shared(() => hanging.promise, never);
    const collecting = gate.exclusive(async () => 'gc', controller.signal);
    assert.equal(await gate.shared(async () => 'went past', never), 'went past');
    controller.abort(new Error('no quiet moment'));
    await assert.rejects(collecting, /no quiet moment/);
    hanging.release();
    await adding;
    assert.equal(await gate.exclusive(async () => 'next', never), 'next');
  });

  it('opens again after work that fails', async () => {
    const gate = new Gate();
    await assert.rejects(
      gate.shared(() => Promise.reject(new Error('a')), never),
      /a/,
    );
    await assert.rejects(
      gate.exclusive(() => Promise.reject(new Error('b')), never),
      /b/,
    );
    assert.equal(await gate.exclusive(async () => 1, never), 1);
  });

  it('lets one of several in when a moment is quiet', async () => {
    const gate = new Gate();
    let together = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      together += 1;
      most = Math.max(most, together);
      await turn();
      together -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => gate.exclusive(work, never)));
    assert.equal(most, 1);
  });
});
