import assert from 'node:assert/strict';
import fc from 'fast-check';
import { digestOf, type Content } from '../../../src/containerd/content.ts';
import { readImage } from '../../../src/containerd/image-documents.ts';
import { distance, hostPlatform, type Platform, platformName } from '../../../src/containerd/platform.ts';
import { chainIds } from '../../../src/containerd/unpack.ts';
import type { Descriptor } from '../../../src/containerd/types.ts';
import { BerthError } from '../../../src/lib/errors.ts';

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker.distribution.manifest';

/** Blobs in memory, as far as images are read from them. */
class Blobs {
  readonly #blobs = new Map<string, Buffer>();

  add(mediaType: string, document: unknown): Descriptor {
    const blob = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
    const digest = digestOf(blob);
    this.#blobs.set(digest, blob);
    return { mediaType, digest, size: blob.length, annotations: {} };
  }

  addImage(
    platform: Partial<Platform>,
    more: { config?: unknown; diffIds?: string[] | null } = {},
  ): Descriptor {
    const { config, diffIds = ['sha256:11'] } = more;
    const configuration = this.add(`${OCI}.config.v1+json`, {
      ...platform,
      config,
      rootfs: { diff_ids: diffIds },
    });
    const layers = (diffIds ?? []).map((id) => this.add(`${OCI}.layer.v1.tar`, id));
    return this.add(`${OCI}.manifest.v1+json`, { schemaVersion: 2, config: configuration, layers });
  }

  get content(): Content {
    const read = async (digest: string): Promise<Buffer> => {
      const blob = this.#blobs.get(digest);
      if (blob === undefined) throw new BerthError('NOT_FOUND', `content ${digest}: not found`);
      return blob;
    };
    return { read } as unknown as Content;
  }
}

const arm64: Platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const amd64: Platform = { os: 'linux', architecture: 'amd64', variant: '' };

describe('platforms', () => {
  it('are named as images name them', () => {
    assert.equal(platformName(hostPlatform('x64')), 'linux/amd64');
    assert.equal(platformName(hostPlatform('arm64')), 'linux/arm64/v8');
    assert.equal(platformName(hostPlatform('riscv64')), 'linux/riscv64');
  });

  it('fit from the nearest variant downwards, and never upwards or across', () => {
    const arm = (variant: string): Platform => ({ os: 'linux', architecture: 'arm', variant });
    const host = arm('v7');
    assert.deepEqual(
      [arm('v7'), arm(''), arm('v6'), arm('v5'), arm('v8'), arm64].map((offered) => distance(offered, host)),
      [0, 0, 1, 2, undefined, undefined],
    );
    assert.equal(distance({ ...amd64, variant: 'v3' }, amd64), undefined);
    assert.equal(distance({ ...amd64, os: 'windows' }, amd64), undefined);
    assert.equal(distance({ ...arm64, variant: '' }, arm64), 0);
  });

  it('of 32 bits fit a host of 64, after its own', () => {
    const i386: Platform = { os: 'linux', architecture: '386', variant: '' };
    assert.ok((distance(i386, amd64) ?? 0) > 0);
    assert.equal(distance(amd64, i386), undefined);
    const arm = ['v8', 'v7', 'v6', 'v5'].map((variant) =>
      distance({ os: 'linux', architecture: 'arm', variant }, arm64),
    );
    assert.ok(arm.every((each, at) => (each ?? 0) > (at === 0 ? 0 : (arm[at - 1] ?? Infinity))));
  });
});

describe("an image's documents", () => {
  it('are read for the platform that is asked for, through indexes in indexes', async () => {
    const blobs = new Blobs();
    const images = { amd64: blobs.addImage(amd64), arm64: blobs.addImage(arm64, { config: { Cmd: ['x'] } }) };
    const inner = blobs.add(`${DOCKER}.list.v2+json`, {
      manifests: [
        { ...images.amd64, platform: amd64 },
        { ...images.arm64, platform: { os: 'linux', architecture: 'arm64' } },
      ],
    });
    const index = blobs.add(`${OCI}.index.v1+json`, { manifests: [inner] });
    const read = await readImage(blobs.content, index, { platform: arm64 });
    assert.equal(read.manifest.digest, images.arm64.digest);
    assert.deepEqual(read.config.cmd, ['x']);
    assert.deepEqual(read.config.platform, arm64);
    assert.deepEqual(
      read.layers.map(({ diffId }) => diffId),
      ['sha256:11'],
    );
    assert.equal(
      (await readImage(blobs.content, index, { platform: amd64 })).manifest.digest,
      images.amd64.digest,
    );
  });

  it('are not found for another platform, with what there is', async () => {
    const blobs = new Blobs();
    const index = blobs.add(`${OCI}.index.v1+json`, {
      manifests: [{ ...blobs.addImage(amd64), platform: amd64 }],
    });
    await assert.rejects(readImage(blobs.content, index, { platform: arm64 }), {
      code: 'NOT_FOUND',
      message: `no image for platform linux/arm64/v8 in "${index.digest}", which has: linux/amd64`,
    });
    const empty = blobs.add(`${OCI}.index.v1+json`, { manifests: null });
    await assert.rejects(readImage(blobs.content, empty, { platform: arm64 }), /which has: none/);
  });

  it('are those of the image whose id containerd tells, for whatever platform it is', async () => {
    const blobs = new Blobs();
    const platforms = {
      v1: amd64,
      v3: { ...amd64, variant: 'v3' },
      i386: { ...amd64, architecture: '386' },
      arm64,
    };
    const all = Object.entries(platforms).map(([name, platform]) => ({
      ...blobs.addImage(platform, { config: { Cmd: [name] } }),
      platform,
    }));
    const notPulled = { ...all[0], digest: `sha256:${'0'.repeat(64)}`, platform: amd64 };
    const other = { ...blobs.add('text/plain', {}), platform: amd64 };
    const index = blobs.add(`${OCI}.index.v1+json`, { manifests: [other, notPulled, ...all] });
    // Without one it is the nearest that was pulled.
    assert.deepEqual((await readImage(blobs.content, index, { platform: amd64 })).config.cmd, ['v1']);
    for (const [at, name] of Object.keys(platforms).entries()) {
      const target = all[at];
      assert.ok(target !== undefined);
      const {
        configuration: { digest: id },
      } = await readImage(blobs.content, target);
      for (const from of [index, target]) {
        const read = await readImage(blobs.content, from, { platform: amd64, id });
        assert.deepEqual([read.config.cmd, read.manifest.digest], [[name], target.digest]);
      }
    }
    const id = `sha256:${'1'.repeat(64)}`;
    for (const from of [index, ...all])
      await assert.rejects(readImage(blobs.content, from, { platform: amd64, id }), { code: 'NOT_FOUND' });
  });

  it('may leave everything out that Go leaves out, or writes as null', async () => {
    const blobs = new Blobs();
    const bare = await readImage(blobs.content, blobs.addImage(amd64, { diffIds: null }), {
      platform: amd64,
    });
    assert.deepEqual(bare.layers, []);
    assert.deepEqual([bare.config.user, bare.config.env, bare.config.volumes], ['', [], []]);
    const config = { Env: null, Volumes: { '/data': {} }, Labels: null, User: 'me', StopSignal: 'SIGUSR1' };
    const read = await readImage(blobs.content, blobs.addImage(amd64, { config }), { platform: amd64 });
    assert.deepEqual(read.config.volumes, ['/data']);
    assert.deepEqual([read.config.user, read.config.stopSignal], ['me', 'SIGUSR1']);
    assert.deepEqual(read.rawConfig['config'], config);
  });

  it('are refused when they are damaged or no image', async () => {
    const blobs = new Blobs();
    const bad = (document: unknown, type = `${OCI}.manifest.v1+json`) =>
      readImage(blobs.content, blobs.add(type, document), { platform: amd64 });
    await assert.rejects(bad('{'), { code: 'INVALID_ARGUMENT', message: /is no JSON/ });
    await assert.rejects(bad({}), { code: 'INVALID_ARGUMENT', message: /: config: / });
    await assert.rejects(bad({}, 'text/plain'), {
      code: 'INVALID_ARGUMENT',
      message: /neither manifest nor index/,
    });
    await assert.rejects(bad({ config: { digest: '../x', size: 1 } }), {
      code: 'INVALID_ARGUMENT',
      message: /digest/,
    });
    const config = blobs.add('c', { rootfs: { diff_ids: ['sha256:1', 'sha256:2'] } });
    await assert.rejects(bad({ config, layers: [] }), /has 0 layers, but its configuration names 2/);
    const missing = { config: { mediaType: '', digest: `sha256:${'0'.repeat(64)}`, size: 1 }, layers: [] };
    await assert.rejects(bad(missing), { code: 'NOT_FOUND' });
  });

  it('are not followed in circles or without end', async () => {
    const blobs = new Blobs();
    let target = blobs.addImage(amd64);
    for (let depth = 0; depth < 6; depth += 1)
      target = blobs.add(`${OCI}.index.v1+json`, { depth, manifests: [target] });
    await assert.rejects(readImage(blobs.content, target, { platform: amd64 }), { code: 'INVALID_ARGUMENT' });
  });
});

describe('the names of unpacked layers', () => {
  it('hash all layers below, as the image specification says', () => {
    const layers = ['sha256:aa', 'sha256:bb', 'sha256:cc'];
    const second = digestOf('sha256:aa sha256:bb');
    assert.deepEqual(chainIds(layers), ['sha256:aa', second, digestOf(`${second} sha256:cc`)]);
    assert.deepEqual(chainIds([]), []);
  });

  it('are the same for as long as the layers are', () => {
    const ids = fc.array(fc.string({ minLength: 4 }), { maxLength: 6 });
    fc.assert(
      fc.property(ids, ids, ids, (common, left, right) => {
        const [a, b] = [chainIds([...common, ...left]), chainIds([...common, ...right])];
        assert.deepEqual(a.slice(0, common.length), b.slice(0, common.length));
        if (a.length === b.length && a.length > 0) {
          const equal = left.every((id, at) => id === right[at]);
          assert.equal(a.at(-1) === b.at(-1), equal);
        }
      }),
    );
  });
});
