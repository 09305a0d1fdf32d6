import assert from 'node:assert/strict';
import type { CallOptions } from '../../../src/containerd/connection.ts';
import type { ImageService } from '../../../src/containerd/image-service.ts';
import { withPinnedImage } from '../../../src/containerd/pinned-image.ts';
import type { Call } from '../../../src/cri/call.ts';
import { listImages } from '../../../src/cri/image/list-images.ts';
import { streamImages } from '../../../src/cri/image/stream-images.ts';

/** Has so many images, and remembers with which options it was called. */
function imagesOf(count: number): { images: ImageService; calls: (CallOptions | undefined)[] } {
  const calls: (CallOptions | undefined)[] = [];
  const listed = Array.from({ length: count }, (_, at) => ({ id: `sha256:${at}`, pinned: false }));
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

describe('the image of pause processes', () => {
  const images = {
    ...imagesOf(3).images,
    imageStatus: async ({ image }: { image: { image: string } }) => ({
      image: { id: image.image === 'pause:1' ? 'sha256:1' : image.image, pinned: false },
      info: {},
    }),
  } as unknown as ImageService;

  it('is pinned, whatever name it is asked for by', async () => {
    const pinning = withPinnedImage(images, 'pause:1');
    const listed = await pinning.listImages({});
    assert.deepEqual(
      listed.images.map(({ id, pinned }) => [id, pinned]),
      [
        ['sha256:0', false],
        ['sha256:1', true],
        ['sha256:2', false],
      ],
    );
    for (const [name, pinned] of [
      ['pause:1', true],
      ['sha256:1', true],
      ['sha256:2', false],
    ] as const)
      assert.equal((await pinning.imageStatus({ image: { image: name } })).image?.pinned, pinned, name);
  });

  it('is none without a name', () => {
    assert.equal(withPinnedImage(images, ''), images);
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
