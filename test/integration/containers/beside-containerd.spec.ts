import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { cgroupParent, Containerd, importImage } from '../../bench/containerd.ts';
import { Cleanup } from '../../helpers/cleanup.ts';
import { ContainerClient, type Pod } from '../../helpers/container-client.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { bridgeNetwork, TestDaemon } from '../../helpers/daemon.ts';
import { TestNode } from '../../helpers/node.ts';
import { tinyImage } from '../containerd/tiny-image.ts';

const imageName = 'berth.local/test/beside:1';
const CNI = '/usr/lib/cni';

describe("Berth beside containerd's own CRI, on the same containerd", () => {
  const started = new Cleanup();
  let directory: string;
  let containerd: Containerd;
  let daemon: TestDaemon;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'beside-'));
    started.defer(() => rm(directory, { recursive: true }));
    const node = started.use(await TestNode.create());
    const network = bridgeNetwork(directory);
    const confDir = join(directory, 'net.d');
    await mkdir(confDir);
    await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(network));
    const state = join(directory, 'state');
    containerd = started.use(await Containerd.start({ node, confDir, binDir: CNI, state }));
    const archive = join(directory, 'image.tar');
    await writeFile(archive, tinyImage(imageName).archive);
    await importImage(containerd.socket, archive);
    daemon = started.use(
      await TestDaemon.start({
        node,
        networks: { '10-test.conflist': network },
        config: { containerd: { address: containerd.socket } },
      }),
    );
  });

  after(async () => {
    await started[Symbol.asyncDispose]();
  });

  it('sees the same images, has pods of its own, and leaves those of the other alone, also after kill -9', async () => {
    using theirs = new ContainerClient(containerd.socket);
    using ours = new ContainerClient(daemon.socket);
    assert.deepEqual(await images(ours), await images(theirs));

    const old = await run(theirs, 'old');
    const young = await run(ours, 'young');
    assert.deepEqual(await sandboxes(theirs), [old.pod.id]);
    assert.deepEqual(await sandboxes(ours), [young.pod.id]);
    const addresses = await Promise.all([address(theirs, old.pod), address(ours, young.pod)]);
    assert.equal(new Set(addresses).size, 2, addresses.join(' '));
    assert.deepEqual((await containers()).sort(), [old.pod.id, old.id, young.id].sort());

    await daemon.kill();
    await daemon.start();
    using again = new ContainerClient(daemon.socket);
    await again.check(young.id);
    await theirs.check(old.id);
    await again.cri.clear();
    assert.deepEqual(await sandboxes(theirs), [old.pod.id]);
    await theirs.exec(old.id, ['true']);
    await theirs.cri.clear();
    assert.deepEqual(await containers(), []);
  });

  /** What `ctr` shows. */
  async function containers(): Promise<string[]> {
    const args = ['-a', containerd.socket, '-n', 'k8s.io', 'containers', 'ls', '-q'];
    return (await execa('ctr', args)).stdout.split('\n').filter((line) => line !== '');
  }

  async function run(client: ContainerClient, name: string): Promise<{ pod: Pod; id: string }> {
    const logDirectory = join(directory, 'logs', name);
    await mkdir(logDirectory, { recursive: true });
    const pod = await client.runPod(podConfig(name, { logDirectory, linux: { cgroupParent } }));
    const id = await client.create(pod, {
      metadata: { name: 'main', attempt: 0 },
      image: { image: imageName },
      command: ['sleep', '3600'],
      logPath: 'main.log',
      linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } },
    });
    await client.start(id);
    return { pod, id };
  }
});

async function images(client: ContainerClient): Promise<string[]> {
  return new Promise((resolve, reject) => {
    client.cri.image.listImages({}, (error, answer) => {
      if (answer === undefined) reject(error ?? new Error('no answer'));
      else resolve(answer.images.map(({ id }) => id).sort());
    });
  });
}

async function sandboxes(client: ContainerClient): Promise<string[]> {
  return (await client.cri.list()).map(({ id }) => id);
}

async function address(client: ContainerClient, pod: Pod): Promise<string> {
  return (await client.cri.podStatus(pod.id)).status?.network?.ip ?? '';
}
