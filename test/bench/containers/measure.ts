import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { cgroupParent } from '../containerd.ts';
import { atATime, type Samples, settle, takeDown } from '../measure.ts';
import type { Pod } from '../../helpers/container-client.ts';
import { type Contestant, imageName } from './contestants.ts';

/** What is measured; the words of the printed tables. */
export const operations = {
  up: 'pod up',
  run: '  RunPodSandbox',
  create: '  CreateContainer',
  start: '  StartContainer',
  exec: 'ExecSync',
  stop: 'StopContainer',
  down: 'pod down',
  wall: 'pods with a container, 10 at a time',
  lists: 'ListPodSandbox + ListContainers',
  log: 'container log',
} as const;

const STOP_TIMEOUT_S = 10;
const EXECS = 3;

let serial = 0;

/** A container of the pod as kubelet asks for it: with a pid namespace of its own and a log. It ends at SIGTERM. */
export function containerConfig(more: ContainerConfig = {}): ContainerConfig {
  return {
    metadata: { name: 'main', attempt: 0 },
    image: { image: imageName },
    command: ['sh', '-c', 'trap exit TERM; sleep 86400 & wait'],
    labels: { 'io.kubernetes.container.name': 'main' },
    logPath: 'main/0.log',
    linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } },
    ...more,
  };
}

/** A pod that nobody had before, its log directory made as kubelet makes it. */
export async function runPod({ client, logs }: Contestant): Promise<Pod> {
  serial += 1;
  const name = `bench-${serial}`;
  const logDirectory = join(logs, name);
  await mkdir(join(logDirectory, 'main'), { recursive: true });
  return client.runPod(podConfig(name, { linux: { cgroupParent }, logDirectory }));
}

/** Pods one after the other, up and down again, with each step timed. */
export async function sequentially(contestant: Contestant, samples: Samples, count: number): Promise<void> {
  const { client } = contestant;
  for (let i = 0; i < count; i += 1) {
    const { pod, id } = await samples.time(operations.up, async () => {
      const pod = await samples.time(operations.run, () => runPod(contestant));
      const id = await samples.time(operations.create, () => client.create(pod, containerConfig()));
      await samples.time(operations.start, () => client.start(id));
      return { pod, id };
    });
    for (let n = 0; n < EXECS; n += 1) await samples.time(operations.exec, () => client.exec(id, ['true']));
    await samples.time(operations.stop, () => client.stop(id, STOP_TIMEOUT_S));
    await samples.time(operations.down, () => takeDown(client.cri, pod.id));
  }
  await settle();
}

/** Makes pods that stay, with a container each, ten at a time. */
export async function fill(contestant: Contestant, count: number): Promise<void> {
  const { client } = contestant;
  const ids: string[] = [];
  await atATime([...Array(count).keys()], async () => {
    const pod = await runPod(contestant);
    const id = await client.create(pod, containerConfig());
    await client.start(id);
    ids.push(id);
  });
  for (const id of ids) await client.check(id);
}

/** Both lists of a full node, as kubelet asks for them every second. */
export async function lists({ client }: Contestant, samples: Samples, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await samples.time(operations.lists, async () => {
      await client.list('ListPodSandbox');
      await client.list('ListContainers');
    });
  }
}
