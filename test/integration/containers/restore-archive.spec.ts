import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { TestNode } from '../../helpers/node.ts';
import { TestRegistry } from '../containerd/registry.ts';
import { tinyImage } from '../containerd/tiny-image.ts';
import { ContainerRig, imageName } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const as = (runAsUsername: string) => ({
  linux: { securityContext: { ...own.linux.securityContext, runAsUsername } },
});
/** There, and asked for its version: that is all it takes to create a container that it is to restore. */
const CRIU = '#!/bin/sh\n[ "$1" = --version ]\n';

describe('a container that is created of a checkpoint', () => {
  const { PATH = '' } = process.env;
  let programs: string;
  let directory: string;
  let rig: ContainerRig;

  before(async () => {
    programs = await mkdtemp(join(tmpdir(), 'berth-criu-'));
    await writeFile(join(programs, 'criu'), CRIU, { mode: 0o755 });
    process.env['PATH'] = `${programs}:${PATH}`;
    rig = await ContainerRig.start({
      node: TestNode.own(),
      config: { runtime: { restore_checkpoints: true } },
    });
    directory = join(rig.directory, 'checkpoints');
  });

  beforeEach(async () => {
    await mkdir(directory);
  });

  after(async () => {
    process.env['PATH'] = PATH;
    await rig[Symbol.asyncDispose]();
    await rm(programs, { recursive: true });
  });

  afterEach(async () => {
    await rig.clear();
    await rm(directory, { recursive: true });
  });

  it("has its image's accounts, and leaves them to the image's other containers", async () => {
    const image = 'berth.local/test/accounts:1';
    const content = 'app:x:1000:1000::/:/bin/sh\n';
    await rig.importImage(image, { layers: [{ 'etc/passwd': { content } }] });
    const diff = await packed({ 'etc/passwd': 'app:x:0:0::/:/bin/sh\n' });
    const location = await archive({ rootfsImageRef: image }, diff);
    const pod = await rig.runPod('accounts');
    const more = as('app');
    const restored = await rig.create(pod, 'again', [], { ...more, image: { image: location } });
    const other = await rig.create(pod, 'other', ['true'], { ...more, image: { image } });
    const uids = [restored, other].map(async (id) => (await rig.status(id)).user?.linux?.uid);
    assert.deepEqual(await Promise.all(uids), ['1000', '1000']);
    await rig.removeImage(image);
  });

  it('has what the other had written, compressed by containerd or as it is', async () => {
    const pod = await rig.runPod('written');
    const diff = await packed({ written: 'data\n' });
    for (const [name, layer] of Object.entries({ compressed: gzipSync(diff), plain: diff })) {
      const location = await archive({ rootfsImageRef: imageName }, layer);
      const id = await rig.create(pod, name, [], { ...own, image: { image: location } });
      assert.equal(readFileSync(join(await upperOf(id), 'written'), 'utf8'), 'data\n', name);
    }
  });

  it('is made of no other image than that of the digest, whatever its tag names by now', async () => {
    const pod = await rig.runPod('digest');
    const first = tinyImage('', { config: { Labels: { first: 'yes' } } });
    await using registry = await TestRegistry.start(first.served);
    const name = `${registry.host}/test/moved:1`;
    await rig.importImage(name, { config: { Labels: { second: 'yes' } } });
    const create = async (rootfsImageRef: string): Promise<string> => {
      const location = await archive(
        { rootfsImageRef, rootfsImageName: name },
        await packed({ written: '' }),
      );
      return rig.create(pod, 'again', [], { ...own, image: { image: location } });
    };
    await assert.rejects(create(first.id), {
      code: status.NOT_FOUND,
      details: /its image "sha256:.*:1" is not on this node/,
    });
    const id = await create(`${registry.host}/test/moved@${first.served.manifest.digest}`);
    assert.equal((await rig.status(id)).imageId, first.id);
    await rig.remove(id);
    // It is on the node by now, and known by its id as well.
    assert.equal((await rig.status(await create(first.id.replace('sha256:', '')))).imageId, first.id);
    await rig.clear();
    for (const image of [first.id, name]) await rig.removeImage(image);
  });

  /** The directory of what a container has beyond its image. */
  async function upperOf(id: string): Promise<string> {
    const command = await rig.ctr('snapshots', 'mounts', directory, id);
    return /upperdir=([^,\s]+)/.exec(command)?.[1] ?? assert.fail(command);
  }

  /** A checkpoint with this in its config.dump, and with this layer of what it had written. */
  async function archive(config: Readonly<Record<string, string>>, diff: Buffer): Promise<string> {
    const location = join(directory, 'checkpoint.tar');
    const content = await packed({
      'config.dump': JSON.stringify(config),
      'spec.dump': JSON.stringify({ process: {}, linux: {} }),
      'checkpoint/inventory.img': 'of CRIU',
      'rootfs-diff.tar': diff,
    });
    await writeFile(location, content);
    return location;
  }

  /** A tar archive of these files. */
  async function packed(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
    const root = await mkdtemp(join(directory, 'packed-'));
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), content);
    }
    const args = ['--create', '--directory', root, ...readdirSync(root)];
    return Buffer.from((await execa('tar', args, { encoding: 'buffer' })).stdout);
  }
});
