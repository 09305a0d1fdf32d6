import assert from 'node:assert/strict';
import { NamedStore } from '../../../src/pod/named-store.ts';

describe('objects in memory', () => {
  it('added late take the name from none that has it, and leave it to nobody when they go', () => {
    const store = new NamedStore<{ id: string; record: { reservedName: string } }>();
    const old = { id: 'a', record: { reservedName: 'web' } };
    const ready = { id: 'b', record: { reservedName: 'web' } };
    store.add(ready);
    store.addLate(old);
    assert.equal(store.byName('web'), ready);
    assert.equal(store.byId('a'), old);
    store.remove(old);
    assert.equal(store.byName('web'), ready);
    const alone = { id: 'c', record: { reservedName: 'other' } };
    store.addLate(alone);
    assert.equal(store.byName('other'), alone);
  });
});
