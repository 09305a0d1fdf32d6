import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import type { Cleanup } from '../../helpers/cleanup.ts';
import { bridgeNetwork, TestDaemon } from '../../helpers/daemon.ts';
import { TestNode } from '../../helpers/node.ts';
import { tinyImage } from '../../integration/containerd/tiny-image.ts';
import { Containerd, importImage, residentKb, shimsOf } from '../containerd.ts';
import { binDir, scratchDirectory } from '../suite.ts';
import { ContainerClient } from '../../helpers/container-client.ts';

export const imageName = 'berth.local/bench/tiny:1';

/** Who runs containers: the columns of the tables. */
export type Runner = 'berth' | 'containerd';

export interface Contestant {
  readonly name: Runner;
  readonly client: ContainerClient;
  /** For the logs of pods. */
  readonly logs: string;
  /** The processes that run for it beside the containers, the one that answers kubelet first. */
  readonly processes: () => number[];
}

interface Places {
  readonly volatile: string;
  readonly disk: string;
  readonly archive: string;
}

/**
 * Berth on a containerd of its own, and containerd with its CRI plugin: the same containerd, OCI runtime, image, conflist and kinds of
 * file system, and a network namespace for each.
 */
export async function startContestants(cleanup: Cleanup): Promise<Contestant[]> {
  const volatile = await scratchDirectory(cleanup, '/dev/shm');
  const disk = await scratchDirectory(cleanup);
  const archive = join(disk, 'image.tar');
  await writeFile(archive, tinyImage(imageName).archive);
  const places = { volatile, disk, archive };
  return [await startBerth(cleanup, places), await startContainerd(cleanup, places)];
}

async function startBerth(cleanup: Cleanup, { volatile, disk, archive }: Places): Promise<Contestant> {
  const state = join(volatile, 'berth');
  const config = {
    storage: { state },
    cni: { netns_dir: join(volatile, 'netns') },
    containerd: { address: 'embedded' },
  };
  const node = cleanup.use(await TestNode.create());
  const daemon = cleanup.use(await TestDaemon.start({ node, config }));
  const engine = embeddedPaths({ root: join(daemon.directory, 'root'), state });
  await importImage(engine.socket, archive);
  const enginePid = (JSON.parse(readFileSync(engine.record, 'utf8')) as { pid: number }).pid;
  return {
    name: 'berth',
    client: clientOf(cleanup, daemon.socket),
    logs: await made(join(disk, 'berth')),
    processes: () => [daemon.pid, enginePid, ...shimsOf(engine.socket)],
  };
}

async function startContainerd(cleanup: Cleanup, { volatile, disk, archive }: Places): Promise<Contestant> {
  const confDir = await made(join(disk, 'net.d'));
  await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(bridgeNetwork(confDir)));
  const node = cleanup.use(await TestNode.create());
  const state = join(volatile, 'containerd');
  const containerd = cleanup.use(await Containerd.start({ node, confDir, binDir, state }));
  await importImage(containerd.socket, archive);
  return {
    name: 'containerd',
    client: clientOf(cleanup, containerd.socket),
    logs: await made(join(disk, 'containerd')),
    processes: () => [containerd.pid, ...shimsOf(containerd.socket)],
  };
}

/** Resident MB of these processes together. */
export function residentMb(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentKb(pid), 0) / 1024;
}

function clientOf(cleanup: Cleanup, socket: string): ContainerClient {
  const client = new ContainerClient(socket);
  cleanup.defer(async () => client[Symbol.dispose]());
  return client;
}

async function made(directory: string): Promise<string> {
  await mkdir(directory);
  return directory;
}
