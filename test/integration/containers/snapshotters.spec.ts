import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { chainIds } from '../../../src/containerd/unpack.ts';
import { cgroupParent, Containerd, type ContainerdOptions } from '../../bench/containerd.ts';
import { Cleanup } from '../../helpers/cleanup.ts';
import { ContainerClient } from '../../helpers/container-client.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { bridgeNetwork, TestDaemon } from '../../helpers/daemon.ts';
import { eventually } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import { TestRegistry } from '../containerd/registry.ts';
import { tinyImage } from '../containerd/tiny-image.ts';
import { ContainerRig, imageName } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const ANNOTATION = 'io.containerd.cri.runtime-handler';
const type = 'io.containerd.runc.v2';

/** The keys and names of what is on one snapshotter. */
async function snapshots(ctr: (...args: string[]) => Promise<string>, name: string): Promise<string[]> {
  const table = await ctr('snapshots', '--snapshotter', name, 'ls');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/)[0] ?? '')
    .filter((key) => key !== '');
}

function topOf({ diffIds }: { readonly diffIds: readonly string[] }): string {
  return chainIds(diffIds).at(-1) ?? '';
}

describe('a runtime handler with a snapshotter of its own', () => {
  const image = tinyImage('berth.local/test/apart:1', { layers: [{ 'etc/apart': { content: 'apart\n' } }] });
  const pulled = tinyImage('berth.local/test/pulled:1', {
    layers: [{ 'etc/pulled': { content: 'pulled\n' } }],
    annotations: { 'containerd.io/snapshot/test.kind': 'odd', 'org.example': 'not for the snapshotter' },
  });
  let registry: TestRegistry;
  let rig: ContainerRig;

  before(async () => {
    registry = await TestRegistry.start(pulled.served);
    const runtimes = {
      runc: { type },
      apart: { type, snapshotter: 'native' },
      paused: { type, snapshotter: 'native', sandbox: 'pause' },
      absent: { type, snapshotter: 'nothing' },
    };
    // On the test's own network: there is the registry.
    rig = await ContainerRig.start({ node: TestNode.own(), config: { containerd: { runtimes } } });
    for (const directory of [tmpdir(), rig.directory]) await chmod(directory, 0o711);
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  const on = (name: string): Promise<string[]> => snapshots((...args) => rig.ctr(...args), name);

  async function where(key: string): Promise<string[]> {
    const names = ['overlayfs', 'native'];
    const lists = await Promise.all(names.map(on));
    return names.filter((_, i) => lists[i]?.includes(key));
  }

  /** What the garbage collector would take, it takes now. */
  async function collect(): Promise<void> {
    await rig.ctr('leases', 'create', '--id', 'collect');
    await rig.ctr('leases', 'rm', '--sync', 'collect');
  }

  it('has its containers there with all that is below them, and those of other pods on the common one', async () => {
    await rig.importImage('berth.local/test/apart:1', { layers: [{ 'etc/apart': { content: 'apart\n' } }] });
    const apart = { ...own, image: { image: 'berth.local/test/apart:1' } };
    const id = await rig.run(await rig.runPod('apart', {}, 'apart'), 'main', FOREVER, apart);
    assert.deepEqual([await where(id), await where(topOf(image))], [['native'], ['native']]);
    const plain = await rig.run(await rig.runPod('plain'), 'main', FOREVER, own);
    assert.deepEqual(await where(plain), ['overlayfs']);

    const script = 'cat /etc/apart /etc/hosts > /dev/null && echo more >> /etc/apart && cat /etc/apart';
    assert.equal((await rig.exec(id, ['sh', '-c', script])).stdout, 'apart\nmore\n');
    const { info } = await rig.statusResponse(id, true);
    const { snapshotter } = JSON.parse(info['info'] ?? '{}') as { snapshotter: string };
    assert.equal(snapshotter, 'native');

    await rig.remove(id);
    assert.deepEqual(await where(id), []);
    await collect();
    assert.deepEqual(await where(topOf(image)), ['native']);
    await rig.removeImage('berth.local/test/apart:1');
    await collect();
    assert.deepEqual(await where(topOf(image)), []);
  });

  it('has their sizes measured there', async () => {
    const id = await rig.run(await rig.runPod('measured', {}, 'apart'), 'main', FOREVER, own);
    const plain = await rig.run(await rig.runPod('plain'), 'main', FOREVER, own);
    const layer = (one: string) =>
      eventually('the layer is measured', async () => {
        const stats = await rig.containerStats(one);
        const { usedBytes, fsId } = stats?.writableLayer ?? {};
        return usedBytes && fsId ? { bytes: Number(usedBytes.value), on: fsId.mountpoint } : undefined;
      });
    const native = await layer(id);
    assert.match(native.on, /io\.containerd\.snapshotter\.v1\.native$/);
    // Its snapshots are whole copies.
    assert.ok(native.bytes > 500_000, String(native.bytes));
    const overlay = await layer(plain);
    assert.match(overlay.on, /io\.containerd\.snapshotter\.v1\.overlayfs$/);
    assert.ok(overlay.bytes < 500_000, String(overlay.bytes));
    const filesystems = await eventually('both are told', async () => {
      const { imageFilesystems, containerFilesystems } = await rig.imageFsInfo();
      const own = imageFilesystems.find(({ fsId }) => fsId?.mountpoint === native.on);
      if (own === undefined) return undefined;
      assert.ok(Number(own.usedBytes?.value) > native.bytes);
      return [imageFilesystems, containerFilesystems].map((all) => all.map(({ fsId }) => fsId?.mountpoint));
    });
    assert.deepEqual(filesystems, [
      [overlay.on, native.on],
      [overlay.on, native.on],
    ]);
  });

  it('has its pause container, image volumes and user namespaces there too', async () => {
    const mappings = [{ containerId: 0, hostId: 200_000, length: 65_536 }];
    const usernsOptions = { mode: 'POD', uids: mappings, gids: mappings } as const;
    const mapped = {
      linux: { securityContext: { namespaceOptions: { usernsOptions, pid: 'CONTAINER' } } },
    } as const;
    const volume = { mounts: [{ containerPath: '/vol', readonly: true, image: { image: imageName } }] };
    for (const config of [own, mapped]) {
      const pod = await rig.runPod('paused', config, 'paused');
      const id = await rig.run(pod, 'main', FOREVER, { ...config, ...volume });
      for (const key of [pod.id, id, `${id}-view-0`]) assert.deepEqual(await where(key), ['native'], key);
      const said = await rig.exec(id, ['sh', '-c', 'stat -c %u /etc/greeting; cat /vol/etc/greeting']);
      assert.equal(said.stdout, '0\nhello\n', said.stderr);
      await rig.clear();
      for (const key of [pod.id, id, `${id}-view-0`]) assert.deepEqual(await where(key), [], key);
    }
  });

  it('finds and removes them after kill -9, also when it has another snapshotter by then', async () => {
    const file = join(rig.directory, 'config.toml');
    const before = await readFile(file, 'utf8');
    const pod = await rig.runPod('kept', {}, 'apart');
    const kept = await rig.run(pod, 'kept', FOREVER, own);
    const created = await rig.create(pod, 'created', FOREVER, own);
    const lost = await rig.run(pod, 'lost', FOREVER, own);
    await rig.daemon.kill();
    await rm(join(rig.directory, 'root', 'containers', `${lost}.jsonl`));
    await rig.daemon.start();
    await eventually('what nobody owns is gone', async () =>
      (await where(lost)).length === 0 ? true : undefined,
    );
    assert.deepEqual(await where(kept), ['native']);
    try {
      await rig.daemon.kill();
      await writeFile(file, before.replaceAll('snapshotter = "native"', ''));
      await rig.daemon.start();
      await rig.startContainer(created);
      assert.equal((await rig.exec(created, ['cat', '/etc/greeting'])).stdout, 'hello\n');
      const moved = await rig.run(pod, 'moved', FOREVER, own);
      assert.deepEqual(await where(moved), ['overlayfs']);
      for (const id of [kept, created, moved]) {
        await rig.remove(id);
        assert.deepEqual(await where(id), []);
      }
    } finally {
      await rig.daemon.stop();
      await writeFile(file, before);
      await rig.daemon.start();
    }
  });

  it('that containerd does not have says so, and leaves nothing', async () => {
    const expected = {
      code: status.FAILED_PRECONDITION,
      details:
        /invalid containerd\.runtimes\.absent\.snapshotter: containerd has no snapshotter "nothing"; there is .*native/,
    };
    const pod = await rig.runPod('absent', {}, 'absent');
    await assert.rejects(rig.create(pod, 'main', FOREVER, own), expected);
    const image = { image: `${registry.host}/berth/absent:1`, runtimeHandler: 'absent' };
    await assert.rejects(rig.pullImage(image), expected);
    assert.deepEqual(registry.requests, []);
  });

  it('has the images that are pulled for it unpacked there', async () => {
    const top = topOf(pulled);
    const label = (): Promise<string> => rig.ctr('snapshots', '--snapshotter', 'native', 'info', top);
    for (const [repository, handler, annotations] of [
      ['field', 'apart', {}],
      ['annotation', '', { [ANNOTATION]: 'apart' }],
    ] as const) {
      const name = `${registry.host}/berth/${repository}:1`;
      const config = rig.pod(repository, { annotations });
      assert.equal(await rig.pullImage({ image: name, runtimeHandler: handler }, config), pulled.id);
      assert.ok((await where(top)).includes('native'));
      const { Labels } = JSON.parse(await label()) as { Labels: Record<string, string> };
      assert.equal(Labels['containerd.io/snapshot/test.kind'], 'odd');
      assert.equal(Labels['org.example'], undefined);
      await rig.removeImage(name);
      await collect();
      assert.deepEqual(await where(top), []);
    }
    const name = `${registry.host}/berth/plain:1`;
    const nobody = rig.pod('plain', { annotations: { [ANNOTATION]: 'nobody' } });
    assert.equal(await rig.pullImage({ image: name }, nobody), pulled.id);
    assert.deepEqual(await where(top), ['overlayfs']);
    await rig.removeImage(name);
    await assert.rejects(rig.pullImage({ image: name, runtimeHandler: 'nobody' }), {
      code: status.INVALID_ARGUMENT,
      details: /invalid image\.runtime_handler: no runtime for "nobody" is configured/,
    });
  });
});

describe('an embedded containerd with another snapshotter than its own choice', () => {
  it('has the images there that it pulls, and the containers of them', async () => {
    const pulled = tinyImage('berth.local/test/common:1');
    await using registry = await TestRegistry.start(pulled.served);
    const config = { containerd: { snapshotter: 'native' } };
    await using rig = await ContainerRig.start({ node: TestNode.own(), config });
    const image = { image: `${registry.host}/berth/common:1` };
    assert.equal(await rig.pullImage(image), pulled.id);
    const on = (name: string): Promise<string[]> => snapshots((...args) => rig.ctr(...args), name);
    assert.ok((await on('native')).includes(topOf(pulled)));
    const id = await rig.run(await rig.runPod('common'), 'main', FOREVER, { ...own, image });
    assert.ok((await on('native')).includes(id));
    assert.deepEqual(await on('overlayfs'), []);
    await rig.clear();
  });
});

describe('a containerd that somebody else has configured', () => {
  const pulled = tinyImage('berth.local/test/alike:1');
  let started: Cleanup;
  let image: string;
  let directory: string;

  beforeEach(async () => {
    started = new Cleanup();
    directory = await mkdtemp(join(tmpdir(), 'alike-'));
    started.defer(() => rm(directory, { recursive: true }));
    const registry = started.use(await TestRegistry.start(pulled.served));
    image = `${registry.host}/berth/alike:1`;
  });

  afterEach(async () => {
    await started[Symbol.asyncDispose]();
  });

  /** A containerd with these keys, and a Berth with these runtime handlers on it. */
  async function start(
    configuration: Pick<ContainerdOptions, 'runtimes' | 'snapshotter'>,
    runtimes: Record<string, unknown>,
  ): Promise<{ client: ContainerClient; ctr: (...args: string[]) => Promise<string> }> {
    const node = TestNode.own();
    const confDir = join(directory, 'net.d');
    await mkdir(confDir);
    const network = bridgeNetwork(directory);
    await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(network));
    const state = join(directory, 'state');
    const binDir = '/usr/lib/cni';
    const { socket } = started.use(
      await Containerd.start({ node, confDir, binDir, state, ...configuration }),
    );
    const config = { containerd: { address: socket, runtimes } };
    const daemon = started.use(await TestDaemon.start({ node, config }));
    const client = new ContainerClient(daemon.socket);
    started.defer(async () => client[Symbol.dispose]());
    const ctr = async (...args: string[]): Promise<string> =>
      (await execa('ctr', ['-a', socket, '-n', 'k8s.io', ...args])).stdout;
    return { client, ctr };
  }

  function pull(client: ContainerClient, runtimeHandler: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = { image: { image, runtimeHandler } };
      client.cri.image.pullImage(request, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  it('unpacks the images of a runtime handler itself where both have the same snapshotter for it', async () => {
    const { client, ctr } = await start(
      { runtimes: { runc: { runtime_type: type }, apart: { runtime_type: type, snapshotter: 'native' } } },
      { runc: { type }, apart: { type, snapshotter: 'native' } },
    );
    await pull(client, 'apart');
    const top = topOf(pulled);
    assert.ok((await snapshots(ctr, 'native')).includes(top));
    // Before 1.7 it knows no snapshotters of handlers, and 2.1 looks elsewhere for them when it pulls.
    const version = await ctr('version');
    if (/Version: +v?1\.7\./.test(version)) assert.ok(!(await snapshots(ctr, 'overlayfs')).includes(top));
  });

  it('decides on the common snapshotter', async () => {
    const { client, ctr } = await start({ snapshotter: 'native' }, { runc: { type } });
    await pull(client, '');
    const securityContext = { namespaceOptions: { network: 'NODE' } } as const;
    const pod = await client.runPod(podConfig('common', { linux: { cgroupParent, securityContext } }));
    const id = await client.create(pod, { metadata: { name: 'main', attempt: 0 }, image: { image }, ...own });
    assert.ok((await snapshots(ctr, 'native')).includes(id));
    assert.ok(!(await snapshots(ctr, 'overlayfs')).includes(topOf(pulled)));
    await client.cri.clear();
    assert.ok(!(await snapshots(ctr, 'native')).includes(id));
  });
});
