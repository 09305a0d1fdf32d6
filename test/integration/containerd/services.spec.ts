import assert from 'node:assert/strict';
import { readImage } from '../../../src/containerd/image-documents.ts';
import { hasLabel } from '../../../src/containerd/filters.ts';
import { chainIds, Unpacker } from '../../../src/containerd/unpack.ts';
import { eventually } from '../../helpers/fixture.ts';
import { imageName, TestEngine } from './engine.ts';

describe('containerd: images, content, snapshots, leases', () => {
  let engine: TestEngine;

  before(async () => {
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine[Symbol.asyncDispose]();
  });

  /** Takes every name away until none comes back: containerd's CRI names an image some time after its import. */
  async function removeImages(): Promise<void> {
    const { images } = engine.client;
    for (const { name } of await images.list()) await images.delete(name, { sync: true });
    const left = await images.list();
    if (left.length > 0) await removeImages();
  }

  it('tells its version, an identity that stays, and its plugins', async () => {
    const { introspection } = engine.client;
    const { version } = await introspection.version();
    assert.match(version, /^\d+\.\d+\./);
    assert.match(await introspection.uuid(), /^[0-9a-f-]{36}$/);
    const plugins = await introspection.plugins();
    const running = plugins.filter(({ failure }) => failure === undefined).map(({ id }) => id);
    assert.ok(running.includes('overlayfs'));
    assert.ok(running.includes('cri'));
    assert.ok(!plugins.some(({ id }) => id === 'zfs'));
  });

  it('has namespaces, which can be made twice and not removed while in use', async () => {
    const { namespaces, images } = engine.client;
    await namespaces.ensure('berth-test');
    await namespaces.ensure('berth-test');
    assert.ok((await namespaces.list()).includes('berth-test'));
    const inNamespace = { namespace: 'berth-test' };
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const target = { mediaType, digest: `sha256:${'1'.repeat(64)}`, size: 1, annotations: {} };
    await images.create('some:image', target, {}, inNamespace);
    await assert.rejects(images.get('some:image'), { code: 'NOT_FOUND' });
    await assert.rejects(namespaces.delete('berth-test'), { code: 'FAILED_PRECONDITION' });
    const retargeted = await images.retarget('some:image', { ...target, size: 2 }, inNamespace);
    assert.equal(retargeted.target.size, 2);
    await images.delete('some:image', { ...inNamespace, sync: true });
    await namespaces.delete('berth-test');
    assert.ok(!(await namespaces.list()).includes('berth-test'));
  });

  it('keeps what a lease holds until the lease is gone', async () => {
    const { leases, content } = engine.client;
    const blob = Buffer.from('held by a lease');
    const lease = await leases.create({ ttlMs: 60_000, labels: { 'io.berth.instance': 'x' } });
    const digest = await content.write(blob, {}, { lease: lease.id });
    assert.deepEqual(await leases.resources(lease.id), [{ type: 'content', id: digest }]);
    const found = await leases.list([hasLabel('io.berth.instance', 'x')]);
    assert.deepEqual(
      found.map(({ id }) => id),
      [lease.id],
    );
    const expires = Date.parse(found[0]?.labels['containerd.io/gc.expire'] ?? '');
    assert.ok(Math.abs(expires - Date.now() - 60_000) < 10_000);
    assert.deepEqual(await content.read(digest), blob);
    await leases.delete(lease.id, { sync: true });
    await assert.rejects(content.info(digest), { code: 'NOT_FOUND' });
  });

  it('lets a lease expire by itself', async () => {
    const { leases, content } = engine.client;
    const lease = await leases.create({ ttlMs: -1_000 });
    const digest = await content.write(Buffer.from('short-lived'), {}, { lease: lease.id });
    using other = await leases.hold({ ttlMs: 60_000 });
    await leases.delete(other.id, { sync: true });
    await assert.rejects(content.info(digest), { code: 'NOT_FOUND' });
  });

  it('writes a large blob in parts, and twice, and refuses to read it as a document', async () => {
    const { leases, content } = engine.client;
    using lease = await leases.hold({ ttlMs: 60_000 });
    const blob = Buffer.alloc(9 * 1024 * 1024 + 17, 'x');
    const digest = await content.write(blob, { first: '1' }, { lease: lease.id });
    assert.equal(await content.write(blob, { second: '2' }, { lease: lease.id }), digest);
    const info = await content.info(digest);
    assert.equal(info.size, blob.length);
    assert.deepEqual({ ...info.labels }, { first: '1', second: '2' });
    await assert.rejects(content.read(digest), { code: 'RESOURCE_EXHAUSTED' });
    assert.ok((await content.read(digest, { maxBytes: blob.length })).equals(blob));
  });

  it('writes a blob piece by piece, and twice; one that cannot be read to its end is not there', async () => {
    const { leases, content } = engine.client;
    using lease = await leases.hold({ ttlMs: 60_000 });
    const call = { lease: lease.id };
    const pieces = async function* (count: number, failure?: Error) {
      for (let i = 0; i < count; i += 1) yield Buffer.alloc(256 * 1024, i);
      await Promise.resolve();
      if (failure !== undefined) throw failure;
    };
    const { digest, size } = await content.writePieces(pieces(100), 'first', call);
    assert.equal(size, 100 * 256 * 1024);
    assert.deepEqual(await content.writePieces(pieces(100), 'second', call), { digest, size });
    assert.equal((await content.info(digest)).size, size);
    const written = await content.list();
    await assert.rejects(
      content.writePieces(pieces(50, new Error('a bad disk')), 'third', call),
      /a bad disk/,
    );
    assert.equal((await content.list()).length, written.length);
  });

  it('gives the code and the text of what containerd refuses', async () => {
    const { images } = engine.client;
    await assert.rejects(images.get('no/such:image'), {
      name: 'BerthError',
      code: 'NOT_FOUND',
      message: 'image "no/such:image": not found',
    });
  });

  it('ends a call with the reason of its signal, and at its time limit', async () => {
    const { tasks, images } = engine.client;
    await assert.rejects(images.list([], { signal: AbortSignal.abort(new Error('told to')) }), {
      code: 'CANCELLED',
      message: 'told to',
    });
    await assert.rejects(images.list([], { timeoutMs: 0 }), { code: 'DEADLINE_EXCEEDED' });
    await assert.rejects(tasks.wait({ containerId: 'none' }), { code: 'NOT_FOUND' });
  });

  /** A scope does not wait for the end of its lease. */
  const leasesGone = (): Promise<unknown> =>
    eventually('the leases are gone', async () =>
      (await engine.client.leases.list()).length === 0 ? true : undefined,
    );

  it('reads and unpacks an imported image, once for many callers, and keeps the snapshots', async () => {
    const { client } = engine;
    const tiny = await engine.importImage();
    const { target } = await client.images.get(imageName);
    const image = await readImage(client.content, target);
    assert.equal(image.configuration.digest, tiny.id);
    assert.deepEqual(image.config.cmd, ['/bin/sh']);
    assert.deepEqual(image.config.env, ['PATH=/bin']);
    assert.equal(image.config.workingDir, '/etc');
    const snapshots = client.snapshots('overlayfs');
    assert.deepEqual(await snapshots.list(), []);

    const unpacker = new Unpacker(client);
    const tops = await Promise.all([1, 2, 3].map(() => unpacker.unpack(image, 'overlayfs')));
    const chain = chainIds(tiny.diffIds);
    assert.deepEqual(new Set(tops), new Set([chain.at(-1)]));
    const names = (await snapshots.list()).map(({ name, kind }) => `${kind} ${name}`);
    assert.deepEqual(names.sort(), chain.map((name) => `COMMITTED ${name}`).sort());
    await leasesGone();

    // Another lease's end runs the garbage collector, which must leave the snapshots of a named image.
    const lease = await client.leases.create({ ttlMs: 60_000 });
    await client.leases.delete(lease.id, { sync: true });
    assert.equal((await snapshots.list()).length, 2);
    assert.ok((await snapshots.usage(chain[0] ?? '')).bytes > 500_000);

    // Without a name all of it is garbage; containerd's CRI has given it one more, the image's id.
    await removeImages();
    assert.deepEqual(await snapshots.list(), []);
  });

  it('leaves no snapshot behind when a layer is not what the configuration says', async () => {
    const { client } = engine;
    await engine.importImage();
    const { target } = await client.images.get(imageName);
    const image = await readImage(client.content, target);
    const layers = image.layers.map((layer) => ({ ...layer, diffId: `sha256:${'0'.repeat(64)}` }));
    const unpacked = new Unpacker(client).unpack({ ...image, layers }, 'overlayfs');
    await assert.rejects(unpacked, { code: 'INVALID_ARGUMENT', message: /failed to unpack layer.*digest/ });
    assert.deepEqual(await client.snapshots('overlayfs').list(), []);
    await leasesGone();
    await removeImages();
  });

  it('prepares, mounts, commits and removes snapshots', async () => {
    const { client } = engine;
    const snapshots = client.snapshots('overlayfs');
    using lease = await client.leases.hold({ ttlMs: 60_000 });
    const call = { lease: lease.id };
    const mounts = await snapshots.prepare({ key: 'one', parent: '', labels: { a: 'b' } }, call);
    assert.equal(mounts.length, 1);
    assert.deepEqual(await snapshots.mounts('one'), mounts);
    await assert.rejects(snapshots.prepare({ key: 'one', parent: '' }, call), { code: 'ALREADY_EXISTS' });
    await snapshots.commit('one', 'base', { c: 'd' }, call);
    const base = await snapshots.stat('base');
    assert.equal(base.kind, 'COMMITTED');
    assert.equal(base.labels['c'], 'd');
    const view = await snapshots.view({ key: 'look', parent: 'base' }, call);
    assert.ok(view[0]?.options.includes('ro'));
    await snapshots.label('look', { e: 'f' });
    assert.deepEqual(
      (await snapshots.list([hasLabel('e', 'f')])).map(({ name }) => name),
      ['look'],
    );
    await assert.rejects(snapshots.remove('base'), { code: 'FAILED_PRECONDITION' });
    await snapshots.remove('look');
    await snapshots.remove('base');
    assert.equal(await snapshots.exists('base'), false);
  });
});
