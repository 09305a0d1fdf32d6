import assert from 'node:assert/strict';
import type { Connection } from '../../../../src/containerd/connection.ts';
import type { ImageService } from '../../../../src/containerd/image-service.ts';
import { EngineImages } from '../../../../src/pod/engine/images.ts';

const ROOT = '/var/lib/containerd';
const TYPE = 'io.containerd.snapshotter.v1';

/** Of a containerd 2, whose status names no snapshotter, with its images in a directory. */
function imagesIn(mountpoint: string): EngineImages {
  const plugins = [
    { type: TYPE, id: 'overlayfs', exports: { root: `${ROOT}/${TYPE}.overlayfs` }, initErr: null },
    { type: TYPE, id: 'stargz', exports: {}, initErr: null },
  ];
  const connection = {
    onChange: () => undefined,
    state: { connected: false },
    api: { services: { introspection: { v1: { Introspection: { service: { Plugins: 'plugins' } } } } } },
    unary: async (method: unknown) => (method === 'plugins' ? { plugins } : { info: { config: '{}' } }),
  };
  const service = { imageFsInfo: async () => ({ imageFilesystems: [{ fsId: { mountpoint } }] }) };
  return new EngineImages(service as unknown as ImageService, connection as unknown as Connection);
}

describe("the snapshotter of containerd's images", () => {
  it('is the one whose directory they are in, or by default would be in', async () => {
    assert.equal(await imagesIn(`${ROOT}/${TYPE}.overlayfs`).snapshotter(), 'overlayfs');
    assert.equal(await imagesIn(`${ROOT}/${TYPE}.stargz`).snapshotter(), 'stargz');
    assert.equal(await imagesIn('').snapshotter(), 'overlayfs');
  });

  it('is not guessed when they are in a directory of none', async () => {
    const details = /"\/elsewhere", which is no snapshotter's that it has: set containerd\.snapshotter$/;
    await assert.rejects(imagesIn('/elsewhere').snapshotter(), {
      code: 'FAILED_PRECONDITION',
      message: details,
    });
  });
});
