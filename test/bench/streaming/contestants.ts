import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from '../../helpers/cleanup.ts';
import { ContainerClient } from '../../helpers/container-client.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { TestNode } from '../../helpers/node.ts';
import { StreamingUrls } from '../../helpers/streaming/urls.ts';
import { tinyImage } from '../../integration/containerd/tiny-image.ts';
import { StreamingRig } from '../../integration/streaming/rig.ts';
import { imageName } from '../containers/contestants.ts';
import { cgroupParent, Containerd, importImage } from '../containerd.ts';
import { binDir, scratchDirectory } from '../suite.ts';

/** Who streams, with a pod in the network of the benchmark and a container in it that waits. */
export interface Contestant {
  readonly name: 'berth' | 'containerd';
  readonly urls: StreamingUrls;
  readonly podId: string;
  readonly containerId: string;
}

const command = ['sleep', '86400'];
const linux = {
  securityContext: { namespaceOptions: { network: 'NODE', pid: 'CONTAINER' } },
} as const;

/** Berth on a containerd of its own, and containerd with its CRI plugin; both in our own network, where we reach their servers. */
export async function startContestants(cleanup: Cleanup): Promise<Contestant[]> {
  return [await startBerth(cleanup), await startContainerd(cleanup)];
}

async function startBerth(cleanup: Cleanup): Promise<Contestant> {
  // As on a node, and as for the other contestant.
  const state = join(await scratchDirectory(cleanup, '/dev/shm'), 'state');
  const { urls, containers } = cleanup.use(await StreamingRig.start({ storage: { state } }));
  cleanup.defer(() => containers.clear());
  const pod = await containers.runPod('bench', { linux });
  const containerId = await containers.run(pod, 'main', command, { linux });
  return { name: 'berth', urls, podId: pod.id, containerId };
}

async function startContainerd(cleanup: Cleanup): Promise<Contestant> {
  const directory = await scratchDirectory(cleanup);
  const volatile = await scratchDirectory(cleanup, '/dev/shm');
  const confDir = join(directory, 'net.d');
  await mkdir(confDir);
  const archive = join(directory, 'image.tar');
  await writeFile(archive, tinyImage(imageName).archive);
  const state = join(volatile, 'containerd');
  const containerd = cleanup.use(await Containerd.start({ node: TestNode.own(), confDir, binDir, state }));
  await importImage(containerd.socket, archive);
  const client = new ContainerClient(containerd.socket);
  cleanup.defer(async () => client[Symbol.dispose]());
  cleanup.defer(() => client.cri.clear());
  const pod = await client.runPod(
    podConfig('bench-streaming', {
      hostname: '',
      linux: { cgroupParent, ...linux },
    }),
  );
  const image = { image: imageName };
  const metadata = { name: 'main', attempt: 0 };
  const containerId = await client.create(pod, {
    metadata,
    image,
    command,
    linux,
  });
  await client.start(containerId);
  const urls = new StreamingUrls(() => client.cri.runtime);
  return {
    name: 'containerd',
    urls,
    podId: pod.id,
    containerId,
  };
}
