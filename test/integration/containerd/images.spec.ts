import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceError } from '@grpc/grpc-js';
import { execa } from 'execa';
import { Containerd } from '../../../src/containerd/containerd.ts';
import { ContainerdImageService } from '../../../src/containerd/image-service.ts';
import type { Call } from '../../../src/cri/call.ts';
import { imageFsInfo } from '../../../src/cri/image/image-fs-info.ts';
import { imageStatus } from '../../../src/cri/image/image-status.ts';
import { listImages } from '../../../src/cri/image/list-images.ts';
import { pullImage } from '../../../src/cri/image/pull-image.ts';
import { removeImage } from '../../../src/cri/image/remove-image.ts';
import { streamImages } from '../../../src/cri/image/stream-images.ts';
import type { ImageSpec__Output } from '../../../src/gen/runtime/v1/ImageSpec.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import { EngineImages } from '../../../src/pod/engine/images.ts';
import { TestDaemon } from '../../helpers/daemon.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { executable, imageName, TestEngine } from './engine.ts';
import { MemoryLog } from './memory-log.ts';
import { TestRegistry } from './registry.ts';
import { tinyImage } from './tiny-image.ts';

const call: Call = { method: 'test', signal: new AbortController().signal, remainingMs: 60_000 };

function spec(image: string): ImageSpec__Output {
  return { image, annotations: {}, userSpecifiedImage: '', runtimeHandler: '', imageRef: '' };
}

function pullRequest(image: string, auth: { username: string; password: string } | null = null) {
  const empty = { auth: '', serverAddress: '', identityToken: '', registryToken: '' };
  return { image: spec(image), auth: auth === null ? null : { ...empty, ...auth }, sandboxConfig: null };
}

describe('the images of the CRI', () => {
  let engine: TestEngine;
  let registry: TestRegistry;
  const tiny = tinyImage(imageName);

  beforeEach(async () => {
    registry = await TestRegistry.start(tiny.served);
    engine = await TestEngine.start();
  });

  afterEach(async () => {
    await engine[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it('are pulled, unpacked, listed by each of their names, and removed with all of them', async () => {
    const tag = `${registry.host}/berth/tiny:1`;
    assert.deepEqual(await pullImage(engine, pullRequest(tag), call), { imageRef: tiny.id });
    const { images } = await listImages(engine, { filter: null }, call);
    const [image, ...others] = images ?? [];
    assert.deepEqual(others, []);
    assert.equal(image?.id, tiny.id);
    assert.deepEqual(image.repoTags, [tag]);
    assert.deepEqual(image.repoDigests, [`${registry.host}/berth/tiny@${tiny.served.manifest.digest}`]);
    assert.ok(Number(image.size) > 100_000);
    assert.equal((await engine.client.snapshots('overlayfs').list()).length, 2);
    for (const name of [tag, image.repoDigests[0] ?? '', tiny.id]) {
      const answer = await imageStatus(engine, { image: spec(name), verbose: true }, call);
      assert.equal(answer.image?.id, tiny.id, name);
      const info = JSON.parse(answer.info?.['info'] ?? '') as { imageSpec?: { os?: string } };
      assert.equal(info.imageSpec?.os, 'linux');
    }
    const streamed = [];
    for await (const batch of streamImages(engine, { filter: { image: spec(tag) } }, call))
      streamed.push(batch);
    assert.deepEqual(
      streamed.map((batch) => batch.images?.map(({ id }) => id)),
      [[tiny.id]],
    );
    await removeImage(engine, { image: spec(tag) }, call);
    await removeImage(engine, { image: spec(tag) }, call);
    assert.deepEqual((await listImages(engine, { filter: null }, call)).images, []);
    assert.equal((await imageStatus(engine, { image: spec(tag), verbose: false }, call)).image, null);
    for await (const batch of streamImages(engine, { filter: null }, call))
      assert.fail(JSON.stringify(batch));
  });

  it('of ctr are those of the CRI, under the name that ctr gave', async () => {
    await engine.importImage();
    const status = () => imageStatus(engine, { image: spec(imageName), verbose: false }, call);
    const image = await eventually('seen by the CRI', async () => (await status()).image ?? undefined);
    assert.deepEqual([image.id, image.repoTags], [tiny.id, [imageName]]);
  });

  it('are pulled with the credentials of the request, and refused without', async () => {
    registry.locked = true;
    const tag = `${registry.host}/berth/tiny:1`;
    await assert.rejects(pullImage(engine, pullRequest(tag), call), (error: unknown) => {
      assert.ok(error instanceof BerthError);
      assert.match(error.message, /no basic auth credentials|401 Unauthorized/);
      return true;
    });
    const auth = { username: 'me', password: 'secret' };
    assert.deepEqual(await pullImage(engine, pullRequest(tag, auth), call), { imageRef: tiny.id });
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    assert.deepEqual(new Set(registry.authorizations), new Set([basic]));
  });

  it('come through the mirror that a hosts file names', async () => {
    const certs = join(engine.directory, 'certs.d');
    mkdirSync(join(certs, 'registry.example'), { recursive: true });
    const mirror = `[host."http://${registry.host}"]\n  capabilities = ["pull", "resolve"]\n`;
    writeFileSync(join(certs, 'registry.example', 'hosts.toml'), mirror);
    await engine.embedded.stop({ ifIdle: false });
    engine.embedded = engine.another({ registryConfigPath: certs });
    await engine.embedded.start();
    await engine.ready();
    const request = pullRequest('registry.example/berth/tiny:1');
    assert.deepEqual(await pullImage(engine, request, call), { imageRef: tiny.id });
    assert.ok(registry.requests.some((url) => url.includes('ns=registry.example')));
  });

  it('are no longer pulled once the caller has gone, or its time is up', async () => {
    registry.stalled = true;
    const tag = `${registry.host}/berth/tiny:1`;
    const gone = new AbortController();
    const pulling = pullImage(engine, pullRequest(tag), { ...call, signal: gone.signal });
    await eventually('it asks for blobs', () => registry.requests.find((url) => url.includes('/blobs/')));
    gone.abort(new BerthError('CANCELLED', 'PullImage was cancelled'));
    await assert.rejects(pulling, { code: 'CANCELLED', message: 'PullImage was cancelled' });
    const late = pullImage(engine, pullRequest(tag), { ...call, remainingMs: 300 });
    await assert.rejects(late, { code: 'DEADLINE_EXCEEDED' });
    registry.stalled = false;
    assert.deepEqual(await pullImage(engine, pullRequest(tag), call), { imageRef: tiny.id });
  });

  it('are pulled apart from all else: a registry whose error no connection can carry fails that pull alone', async () => {
    registry.words = 'x'.repeat(100_000);
    const request = pullRequest(`${registry.host}/berth/wordy:1`);
    const pulling = pullImage(engine, request, { ...call, remainingMs: 3_000 });
    pulling.catch(() => undefined);
    await eventually(
      'it is refused',
      () => registry.requests.filter((url) => url.includes('/wordy/manifests/'))[1],
    );
    await sleep(500);
    await listImages(engine, { filter: null }, { ...call, remainingMs: 10_000 });
    await assert.rejects(pulling);
  });

  it('are refused by name when there are none of that name, or no name', async () => {
    await assert.rejects(
      pullImage(engine, pullRequest('127.0.0.1:1/none:1'), call),
      /127\.0\.0\.1:1.*refused/,
    );
    await assert.rejects(pullImage(engine, pullRequest('No Name'), call), /invalid reference format/);
    for (const image of [null, spec('')]) {
      const refused = { code: 'INVALID_ARGUMENT', message: 'invalid image.image: must not be empty' };
      await assert.rejects(pullImage(engine, { ...pullRequest('x'), image }, call), refused);
      await assert.rejects(imageStatus(engine, { image, verbose: false }, call), refused);
      await assert.rejects(removeImage(engine, { image }, call), refused);
    }
  });

  it('have their filesystem told, and that of containers too where containerd is silent', async () => {
    const { imageFilesystems, containerFilesystems } = await imageFsInfo(engine, {}, call);
    assert.equal(imageFilesystems?.length, 1);
    assert.match(imageFilesystems[0]?.fsId?.mountpoint ?? '', /snapshotter\.v1\.overlayfs$/);
    assert.equal(containerFilesystems?.length, 1);
  });

  it('are unavailable, and say why, while containerd is away', async () => {
    // It is back within moments.
    const listed = new Promise((resolve) => {
      engine.client.connection.onChange(({ connected }) => {
        if (!connected) resolve(listImages(engine, { filter: null }, call));
      });
    });
    process.kill(engine.pid, 'SIGKILL');
    await assert.rejects(listed, {
      code: 'UNAVAILABLE',
      message: /^containerd at ".*containerd\.sock" is unavailable: (connect|read) E/,
    });
    await engine.images.ready({ signal: AbortSignal.timeout(30_000) });
    await listImages(engine, { filter: null }, call);
  });
});

describe('a containerd without its CRI plugin', () => {
  it('serves no images, and we say so', async () => {
    await using scratch = await Scratch.create();
    const at = (name: string): string => join(scratch.path, name);
    const config = [
      'version = 2',
      `root = "${at('root')}"`,
      `state = "${at('state')}"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
      `[grpc]\naddress = "${at('c.sock')}"`,
    ];
    writeFileSync(at('config.toml'), config.join('\n'));
    const child = execa(executable, ['--config', at('config.toml')], { reject: false, detached: true });
    const client = new Containerd({ address: at('c.sock'), log: new MemoryLog() });
    try {
      client.connection.start();
      await client.connection.ready({ signal: AbortSignal.timeout(30_000) });
      const message = `containerd at "${at('c.sock')}" serves no images: its CRI plugin is disabled or failed to load`;
      const service = new ContainerdImageService(client.connection);
      await assert.rejects(service.listImages({}), { code: 'UNAVAILABLE', message });
      const images = new EngineImages(service, client.connection);
      await assert.rejects(images.snapshotter(), { code: 'UNAVAILABLE', message });

      await using daemon = await TestDaemon.start({ config: { containerd: { address: at('c.sock') } } });
      await eventually('RuntimeReady says so', async () => {
        const { status: told } = await daemon.client.status();
        const condition = told?.conditions.find(({ type }) => type === 'RuntimeReady');
        return condition?.status === false && condition.message === message ? true : undefined;
      });
      const pulling = new Promise<unknown>((resolve) => {
        daemon.client.image.pullImage({ image: { image: 'berth.local/none:1' } }, resolve);
      });
      assert.equal(((await pulling) as ServiceError).details, message);
      await eventually('the log warns of it', async () =>
        /"level":"warn".*"method":"PullImage".*serves no images/.test(await daemon.log()) ? true : undefined,
      );
    } finally {
      client.connection.close();
      child.kill('SIGTERM');
      await child;
    }
  });
});
