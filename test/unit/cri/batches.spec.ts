import assert from 'node:assert/strict';
import { inBatches } from '../../../src/cri/batches.ts';

const MIB = 1024 * 1024;

function sizes(items: Parameters<typeof inBatches>[0]): number[] {
  return [...inBatches(items)].map((batch) => batch.length);
}

describe('inBatches', () => {
  it('gives every item once and in order, and no empty batch', () => {
    const items = Array.from({ length: 1_201 }, (_, id) => ({ labels: { id: String(id) } }));
    assert.deepEqual([...inBatches(items)].flat(), items);
    assert.deepEqual(sizes(items), [500, 500, 201]);
    assert.deepEqual(sizes([]), []);
  });

  it('keeps items with large annotations below what a message may have', () => {
    const large = { annotations: { note: '\u20ac'.repeat(256 * 1024) } };
    const items = Array.from({ length: 100 }, () => large);
    assert.equal(
      sizes(items).reduce((sum, size) => sum + size, 0),
      100,
    );
    const bytes = 3 * 256 * 1024;
    for (const size of sizes(items)) assert.ok(size * bytes < 16 * MIB, String(size));
  });

  it('gives an item that is large alone a batch of its own', () => {
    const large = { annotations: { note: 'x'.repeat(5 * MIB) } };
    assert.deepEqual(sizes([{}, large, {}, {}]), [1, 1, 2]);
  });
});
