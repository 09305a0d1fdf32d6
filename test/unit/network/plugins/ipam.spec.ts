import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { inOrder } from '../../../../src/network/plugins/ipam.ts';

describe('the order of a DEL', () => {
  function order(config: JsonObject): string[] {
    const done: string[] = [];
    const steps = inOrder(
      config,
      () => void done.push('interface'),
      () => void done.push('addresses'),
    );
    for (const step of steps) step();
    return done;
  }

  it('gives addresses back when nobody can use them any more', () => {
    assert.deepEqual(order({ ipam: { type: 'host-local' } }), ['interface', 'addresses']);
    assert.deepEqual(order({}), ['interface', 'addresses']);
  });

  it('gives a lease back over the interface', () => {
    assert.deepEqual(order({ ipam: { type: 'dhcp' } }), ['addresses', 'interface']);
  });

  it('does not fail over a configuration that makes no sense', () => {
    assert.deepEqual(order({ ipam: 'dhcp' }), ['interface', 'addresses']);
    assert.deepEqual(order({ ipam: { type: 5 } }), ['interface', 'addresses']);
  });
});
