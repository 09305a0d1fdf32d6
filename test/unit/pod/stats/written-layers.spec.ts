import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { WrittenLayers } from '../../../../src/pod/stats/written-layers.ts';
import { container, FakeSource } from './fixtures.ts';

describe('the sizes of writable layers', () => {
  let source: FakeSource;
  beforeEach(() => {
    source = new FakeSource();
    source.list = [container('c1'), container('c2')];
    source.layers.set('c1', { bytes: 10, inodes: 1 });
  });

  it('are unknown when first asked for, and known soon after', async () => {
    const layers = new WrittenLayers(source);
    assert.equal(layers.get('c1'), undefined);
    await wait(5);
    const layer = layers.get('c1');
    assert.equal(layer?.bytes, 10);
    assert.ok(layer.at > 1_700_000_000_000_000_000n);
  });

  it('are not measured again while they are fresh, one that failed included', async () => {
    const layers = new WrittenLayers(source);
    for (let i = 0; i < 3; i++) {
      layers.get('c1');
      layers.get('c2');
      await wait(5);
    }
    assert.equal(source.layerCalls, 2);
    assert.equal(layers.get('c2'), undefined);
  });

  it('are measured anew later, and the old size serves meanwhile', async () => {
    const layers = new WrittenLayers(source, 20);
    layers.get('c1');
    await wait(30);
    source.layers.set('c1', { bytes: 99, inodes: 1 });
    assert.equal(layers.get('c1')?.bytes, 10);
    await wait(5);
    assert.equal(layers.get('c1')?.bytes, 99);
  });

  it('are forgotten with their containers', async () => {
    const layers = new WrittenLayers(source);
    layers.get('c1');
    await wait(5);
    source.list = [container('c2')];
    layers.get('c2');
    await wait(5);
    assert.equal(layers.get('c1'), undefined);
  });
});
