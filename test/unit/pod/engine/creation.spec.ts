import assert from 'node:assert/strict';
import type { Containerd } from '../../../../src/containerd/containerd.ts';
import { createContainer, type CreationParts } from '../../../../src/pod/engine/creation.ts';
import type { NewEngineContainer } from '../../../../src/pod/engine/engine.ts';

const HOUR_MS = 60 * 60 * 1_000;

describe('the making of a container', () => {
  it('is held for hours: to unpack a large image and to copy it takes long on a slow disk', async () => {
    const asked: number[] = [];
    const hold = ({ ttlMs }: { ttlMs: number }): never => {
      asked.push(ttlMs);
      throw new Error('no further');
    };
    const parts = {
      containerd: { leases: { hold } } as unknown as Containerd,
      snapshotters: { ofHandler: async () => ({ snapshotter: 'overlayfs' }) },
    } as unknown as CreationParts;
    await assert.rejects(createContainer(parts, {} as NewEngineContainer, {}), /no further/);
    // Unpacking alone may have one.
    assert.ok((asked[0] ?? 0) > 3 * HOUR_MS, String(asked));
  });
});
