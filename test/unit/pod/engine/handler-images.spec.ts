import assert from 'node:assert/strict';
import { configSchema } from '../../../../src/config/schema.ts';
import type { PullImageRequest } from '../../../../src/gen/runtime/v1/PullImageRequest.ts';
import { HandlerImages } from '../../../../src/pod/engine/handler-images.ts';
import type { EngineImages } from '../../../../src/pod/engine/images.ts';
import type { Snapshotters } from '../../../../src/pod/engine/snapshotters.ts';

const ANNOTATION = 'io.containerd.cri.runtime-handler';
const IMAGE = 'registry.example/app:1';

/** Images of a Berth whose handler `apart` has the snapshotter `native`, on a containerd that has it on the one that is given. */
function pulling(inContainerd: string) {
  const settings = configSchema.parse({
    containerd: { runtimes: { runc: {}, apart: { snapshotter: 'native' } } },
  }).containerd;
  const told: PullImageRequest[] = [];
  const unpacked: [reference: string, handler: string][] = [];
  const images = {
    service: {
      pullImage: async (request: PullImageRequest) => {
        told.push(request);
        return { imageRef: 'sha256:1' };
      },
    },
    snapshotterOf: async (handler: string) => (handler === 'apart' ? inContainerd : ''),
  };
  const snapshotters = {
    common: async () => 'overlayfs',
    ofHandler: async (handler: string) => ({
      snapshotter: settings.runtimes.get(handler)?.snapshotter || 'overlayfs',
    }),
  };
  const service = new HandlerImages({
    settings,
    images: images as unknown as EngineImages,
    snapshotters: snapshotters as unknown as Snapshotters,
    unpack: async (reference, { runtimeHandler }) => {
      unpacked.push([reference, runtimeHandler]);
    },
  });
  return {
    told,
    unpacked,
    pull: (runtimeHandler: string, annotations: Record<string, string> = {}) =>
      service.pullImage({ image: { image: IMAGE, runtimeHandler }, sandboxConfig: { annotations } }),
  };
}

describe('an image that is pulled for a runtime handler with a snapshotter of its own', () => {
  it('is unpacked there, and containerd is not told of a handler that it does not know', async () => {
    for (const inContainerd of ['', 'devmapper']) {
      const { pull, told, unpacked } = pulling(inContainerd);
      await pull('apart', { [ANNOTATION]: 'apart', other: 'x' });
      assert.deepEqual(told, [
        { image: { image: IMAGE, runtimeHandler: '' }, sandboxConfig: { annotations: { other: 'x' } } },
      ]);
      assert.deepEqual(unpacked, [['sha256:1', 'apart']]);
    }
  });

  it('is unpacked by a containerd that has it configured alike, whichever way it wants to be told', async () => {
    for (const [handler, annotations] of [
      ['apart', {}],
      ['', { [ANNOTATION]: 'apart' }],
    ] as const) {
      const { pull, told, unpacked } = pulling('native');
      await pull(handler, annotations);
      assert.deepEqual(told, [
        {
          image: { image: IMAGE, runtimeHandler: 'apart' },
          sandboxConfig: { annotations: { [ANNOTATION]: 'apart' } },
        },
      ]);
      // Not every containerd heeds it.
      assert.deepEqual(unpacked, [['sha256:1', 'apart']]);
    }
  });

  it('is only pulled when the handler has none, when nothing is said, and for an annotation that names nothing', async () => {
    for (const [handler, annotations] of [
      ['', {}],
      ['runc', {}],
      ['', { [ANNOTATION]: 'nobody' }],
    ] as const) {
      const { pull, told, unpacked } = pulling('native');
      await pull(handler, annotations);
      assert.deepEqual(told, [
        { image: { image: IMAGE, runtimeHandler: '' }, sandboxConfig: { annotations: {} } },
      ]);
      assert.deepEqual(unpacked, []);
    }
  });

  it('is refused for a handler that is not configured', async () => {
    const { pull, told } = pulling('native');
    await assert.rejects(
      pull('nobody'),
      /invalid image\.runtime_handler: no runtime for "nobody" is configured; there is runc, apart/,
    );
    assert.deepEqual(told, []);
  });
});
