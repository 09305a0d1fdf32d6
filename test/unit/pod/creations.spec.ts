import assert from 'node:assert/strict';
import { Creations } from '../../../src/pod/creations.ts';
import { sameSandbox, type SandboxPlan } from '../../../src/pod/sandbox/plan.ts';

function plan(labels: Record<string, string>): SandboxPlan {
  return { reservedName: 'a_b_c_0', runtimeHandler: '', config: { labels } } as unknown as SandboxPlan;
}

describe('Creations', () => {
  it('joins a retry to the creation under way, whatever the order of its labels', async () => {
    const creations = new Creations<SandboxPlan>(sameSandbox);
    let made = 0;
    let finish: (id: string) => void = () => undefined;
    const first = creations.join(plan({ a: '1', b: '2' }), () => {
      made += 1;
      return new Promise((resolve) => {
        finish = resolve;
      });
    });
    const second = creations.join(plan({ b: '2', a: '1' }), async () => {
      made += 1;
      return 'other';
    });
    finish('one');
    assert.deepEqual(await Promise.all([first, second]), ['one', 'one']);
    assert.equal(made, 1);
  });

  it('lets another configuration of the same name wait for its turn', async () => {
    const creations = new Creations<SandboxPlan>(sameSandbox);
    const order: string[] = [];
    const create = (id: string, ms: number) => async () => {
      order.push(`begin ${id}`);
      await new Promise((resolve) => setTimeout(resolve, ms));
      order.push(`end ${id}`);
      return id;
    };
    const ids = await Promise.all([
      creations.join(plan({ a: '1' }), create('one', 10)),
      creations.join(plan({ a: '2' }), create('two', 1)),
    ]);
    assert.deepEqual(ids, ['one', 'two']);
    assert.deepEqual(order, ['begin one', 'end one', 'begin two', 'end two']);
  });

  it("fails a joined retry with the first one's error, and begins anew after that", async () => {
    const creations = new Creations<SandboxPlan>(sameSandbox);
    const failing = creations.join(plan({}), async () => Promise.reject(new Error('no')));
    await assert.rejects(Promise.all([failing, creations.join(plan({}), async () => 'never')]), /no/);
    assert.equal(await creations.join(plan({}), async () => 'again'), 'again');
  });
});
