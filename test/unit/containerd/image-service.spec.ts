import assert from 'node:assert/strict';
import type { CallOptions } from '../../../src/containerd/connection.ts';
import type { ImageService } from '../../../src/containerd/image-service.ts';
import type { Call } from '../../../src/cri/call.ts';
import { listImages } from '../../../src/cri/image/list-images.ts';
import { streamImages } from '../../../src/cri/image/stream-images.ts';

/** Has so many images, and remembers with which options it was called. */
function imagesOf(count: number): { images: ImageService; calls: (CallOptions | undefined)[] } {
  const calls: (CallOptions | undefined)[] = [];
  const listed = Array.from({ length: count }, (_, at) => ({ id: `sha256:${at}` }));
  const images = {
    listImages: async (_request: unknown, options?: CallOptions) => {
      calls.push(options);
      return { images: listed };
    },
  };
  return { images: images as unknown as ImageService, calls };
}

const { signal } = new AbortController();
const call: Call = { method: 'test', signal, remainingMs: 1_234 };

describe('images of the CRI, streamed', () => {
  it('come once each, in batches that are never empty', async () => {
    for (const [count, sizes] of [
      [0, []],
      [1, [1]],
      [500, [500]],
      [1_001, [500, 500, 1]],
    ] as const) {
      const seen: string[] = [];
      const batches: number[] = [];
      for await (const { images } of streamImages(imagesOf(count), { filter: null }, call)) {
        batches.push(images?.length ?? 0);
        seen.push(...(images ?? []).map(({ id }) => id ?? ''));
      }
      assert.deepEqual(batches, sizes);
      assert.equal(new Set(seen).size, count);
    }
  });
});

describe('an image RPC', () => {
  it("passes on the caller's deadline and its going away", async () => {
    const deps = imagesOf(1);
    await listImages(deps, { filter: null }, call);
    assert.deepEqual(deps.calls, [{ signal, timeoutMs: 1_234 }]);
    assert.equal(deps.calls[0]?.signal, signal);
  });
});
