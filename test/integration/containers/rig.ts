import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { execa } from 'execa';
import { embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import { argvOf, findProcesses, isShimOf, signalProcess } from '../../../src/containerd/embedded/process.ts';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { ContainerStats__Output } from '../../../src/gen/runtime/v1/ContainerStats.ts';
import type { ContainerStatsResponse__Output } from '../../../src/gen/runtime/v1/ContainerStatsResponse.ts';
import type { ContainerStatus__Output } from '../../../src/gen/runtime/v1/ContainerStatus.ts';
import type { ContainerStatusResponse__Output } from '../../../src/gen/runtime/v1/ContainerStatusResponse.ts';
import type { ExecSyncResponse__Output } from '../../../src/gen/runtime/v1/ExecSyncResponse.ts';
import type { ImageFsInfoResponse__Output } from '../../../src/gen/runtime/v1/ImageFsInfoResponse.ts';
import type { ImageSpec } from '../../../src/gen/runtime/v1/ImageSpec.ts';
import type { LinuxContainerResources } from '../../../src/gen/runtime/v1/LinuxContainerResources.ts';
import type { ListContainersResponse__Output } from '../../../src/gen/runtime/v1/ListContainersResponse.ts';
import type { ListImagesResponse__Output } from '../../../src/gen/runtime/v1/ListImagesResponse.ts';
import type { PodSandboxConfig } from '../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { removeCgroups } from '../../helpers/cgroups.ts';
import type { DaemonOptions } from '../../helpers/daemon.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig } from '../../helpers/fixture.ts';
import { mountsBelow } from '../../helpers/mounts.ts';
import { PATIENCE_MS } from '../../helpers/patience.ts';
import { type ImageOptions, tinyImage } from '../containerd/tiny-image.ts';

export const imageName = 'berth.local/test/tiny:1';

/** A command that ends with a code when it is sent SIGUSR1, once "ready" is in its log. */
export const ends = (code: number): string[] => [
  'sh',
  '-c',
  `trap "exit ${code}" USR1; echo ready; while :; do sleep 0.05; done`,
];

/** containerd's own, whatever its configuration says; removed again when we were the first to use them. */
const SHARED = [
  '/run/containerd',
  '/opt/containerd',
  '/var/lib/cni',
  '/var/lib/cni/results',
  '/var/lib/containerd',
];
const DEADLINE_MS = 2 * PATIENCE_MS;

type Done<T> = (error: ServiceError | null, answer?: T) => void;

/** Whether some `sleep` with this argument runs. */
export function runs(argument: string): boolean {
  return findProcesses((argv) => argv[0] === 'sleep' && argv[1] === argument).length > 0;
}

/** A daemon with an embedded containerd that has the tiny image, and the calls for containers. */
export class ContainerRig implements AsyncDisposable {
  readonly base: Rig;
  /** Parent of the cgroups of all pods. */
  readonly cgroup = `berth-test-${randomBytes(4).toString('hex')}`;
  readonly #foreign = SHARED.filter((path) => existsSync(path));

  readonly #state: string | undefined;

  private constructor(base: Rig, state: string | undefined) {
    this.base = base;
    this.#state = state;
  }

  /** @param options its node; keys of the daemon's configuration that differ, by section. */
  static async start(options: Pick<DaemonOptions, 'node' | 'config'> = {}): Promise<ContainerRig> {
    const containerd = { address: 'embedded', ...options.config?.['containerd'] };
    const base = await Rig.start({ ...options, config: { ...options.config, containerd } });
    const rig = new ContainerRig(base, options.config?.['storage']?.['state'] as string | undefined);
    try {
      await rig.importImage(imageName);
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  get daemon(): Rig['daemon'] {
    return this.base.daemon;
  }

  get directory(): string {
    return this.daemon.directory;
  }

  get logDirectory(): string {
    return join(this.directory, 'logs');
  }

  /** The daemon's `[storage] state`. */
  get state(): string {
    return this.#state ?? join(this.directory, 'state');
  }

  get engine(): ReturnType<typeof embeddedPaths> {
    return embeddedPaths({ root: join(this.directory, 'root'), state: this.state });
  }

  /** The process id of the embedded containerd. */
  get enginePid(): number {
    return (JSON.parse(readFileSync(this.engine.record, 'utf8')) as { pid: number }).pid;
  }

  async ctr(...args: string[]): Promise<string> {
    return (await execa('ctr', ['--address', this.engine.socket, '-n', 'k8s.io', ...args])).stdout;
  }

  /** Imports an image as the tiny one, or one that has more, layers packed; waits until the CRI lists it. */
  async importImage(name: string, options: ImageOptions = {}): Promise<void> {
    const archive = join(this.directory, 'image.tar');
    await writeFile(archive, tinyImage(name, options).archive);
    // What is of another platform it would leave to containerd's garbage collection.
    await this.ctr('images', 'import', '--no-unpack', '--all-platforms', archive);
    await rm(archive);
    // The CRI's list of images follows containerd's events.
    await eventually(`image ${name} is listed`, async () =>
      (await this.#hasImage(name)) ? true : undefined,
    );
  }

  /** Returns the image's id. */
  async pullImage(image: ImageSpec, sandboxConfig: PodSandboxConfig | null = null): Promise<string> {
    const request = { image, sandboxConfig };
    const { imageRef } = await this.#call<{ imageRef: string }>((done) =>
      this.daemon.client.image.pullImage(request, deadline(), done),
    );
    return imageRef;
  }

  async imageFsInfo(): Promise<ImageFsInfoResponse__Output> {
    return this.#call((done) => this.daemon.client.image.imageFsInfo({}, deadline(), done));
  }

  async containerStats(containerId: string): Promise<ContainerStats__Output | null> {
    const { stats } = await this.#call<ContainerStatsResponse__Output>((done) =>
      this.daemon.client.runtime.containerStats({ containerId }, deadline(), done),
    );
    return stats;
  }

  /** Removes an image by all its names. */
  async removeImage(name: string): Promise<void> {
    const request = { image: { image: name } };
    await this.#call((done) => this.daemon.client.image.removeImage(request, deadline(), done));
  }

  /** Ids of the images that kubelet must not remove. */
  async pinnedImages(): Promise<string[]> {
    const { images } = await this.#call<ListImagesResponse__Output>((done) =>
      this.daemon.client.image.listImages({}, deadline(), done),
    );
    return images.filter(({ pinned }) => pinned).map(({ id }) => id);
  }

  shims(): number[] {
    return findProcesses((argv) => isShimOf(argv, this.engine.socket)).map(({ pid }) => pid);
  }

  pod(name: string, more: PodSandboxConfig = {}): PodSandboxConfig {
    return podConfig(name, {
      logDirectory: join(this.logDirectory, name),
      ...more,
      linux: { cgroupParent: `/${this.cgroup}/${name}`, ...more.linux },
    });
  }

  /** Runs a sandbox of this name, and returns its id with the config that containers have to repeat. */
  async runPod(name: string, more: PodSandboxConfig = {}, runtimeHandler = ''): Promise<Pod> {
    const config = this.pod(name, more);
    await mkdir(join(this.logDirectory, name), { recursive: true });
    return { id: await this.daemon.client.run(config, runtimeHandler), config };
  }

  async create(
    pod: Pod,
    name: string,
    command: readonly string[],
    more: ContainerConfig = {},
  ): Promise<string> {
    const config: ContainerConfig = {
      metadata: { name, attempt: 0 },
      image: { image: imageName },
      command: [...command],
      logPath: `${name}.log`,
      ...more,
    };
    const answer = await this.#call<{ containerId: string }>((done) =>
      this.daemon.client.runtime.createContainer(
        { podSandboxId: pod.id, config, sandboxConfig: pod.config },
        deadline(),
        done,
      ),
    );
    return answer.containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#call((done) => this.daemon.client.runtime.startContainer({ containerId }, deadline(), done));
  }

  /** Creates and starts. */
  async run(pod: Pod, name: string, command: readonly string[], more: ContainerConfig = {}): Promise<string> {
    const id = await this.create(pod, name, command, more);
    await this.startContainer(id);
    return id;
  }

  async checkpoint(containerId: string, location: string, timeout = 0): Promise<void> {
    await this.#call((done) =>
      this.daemon.client.runtime.checkpointContainer({ containerId, location, timeout }, deadline(), done),
    );
  }

  async updateResources(containerId: string, linux: LinuxContainerResources): Promise<void> {
    await this.#call((done) =>
      this.daemon.client.runtime.updateContainerResources({ containerId, linux }, deadline(), done),
    );
  }

  async stop(containerId: string, timeout = 0): Promise<void> {
    await this.#call((done) =>
      this.daemon.client.runtime.stopContainer({ containerId, timeout }, deadline(), done),
    );
  }

  async reopenLog(containerId: string): Promise<void> {
    await this.#call((done) =>
      this.daemon.client.runtime.reopenContainerLog({ containerId }, deadline(), done),
    );
  }

  async remove(containerId: string): Promise<void> {
    await this.#call((done) => this.daemon.client.runtime.removeContainer({ containerId }, deadline(), done));
  }

  async status(containerId: string): Promise<ContainerStatus__Output> {
    const { status } = await this.statusResponse(containerId, false);
    if (status === null) throw new Error('no status');
    return status;
  }

  statusResponse(containerId: string, verbose: boolean): Promise<ContainerStatusResponse__Output> {
    return this.#call((done) =>
      this.daemon.client.runtime.containerStatus({ containerId, verbose }, deadline(), done),
    );
  }

  async exec(
    containerId: string,
    cmd: readonly string[],
    timeout = 0,
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const { stdout, stderr, exitCode } = await this.#call<ExecSyncResponse__Output>((done) =>
      this.daemon.client.runtime.execSync({ containerId, cmd: [...cmd], timeout }, deadline(), done),
    );
    return { stdout: Buffer.from(stdout).toString(), stderr: Buffer.from(stderr).toString(), exitCode };
  }

  async list(): Promise<string[]> {
    const { containers } = await this.#call<ListContainersResponse__Output>((done) =>
      this.daemon.client.runtime.listContainers({}, deadline(), done),
    );
    return containers.map(({ id }) => id);
  }

  /** Waits for the containerd that comes after one that has ended. */
  engineAfter(dead: number): Promise<true> {
    return eventually('another containerd', () => (this.enginePid === dead ? undefined : true));
  }

  /** Waits for the end of a container. */
  ended(id: string): Promise<ContainerStatus__Output> {
    return eventually(`container ${id} ends`, async () => {
      const status = await this.status(id);
      return status.state === 'CONTAINER_EXITED' ? status : undefined;
    });
  }

  /** The text of a log, without time, stream and tag. */
  logText(pod: Pod, name: string): string {
    const path = join(pod.config.logDirectory ?? '', `${name}.log`);
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => `${line.split(' ').slice(3).join(' ')}\n`).join('');
  }

  logged(pod: Pod, name: string, expected: RegExp): Promise<string> {
    return eventually(`the log of ${name} matches ${String(expected)}`, () => {
      const text = this.logText(pod, name);
      return expected.test(text) ? text : undefined;
    });
  }

  /** What is there of containers: in containerd, on disk, as FIFOs, as processes. */
  async traces(): Promise<string[]> {
    const list = async (...args: string[]): Promise<string[]> =>
      (await this.ctr(...args)).split('\n').filter((line) => line !== '');
    const files = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);
    return [
      ...(await list('containers', 'ls', '--quiet')).map((id) => `container ${id}`),
      ...(await list('tasks', 'ls', '--quiet')).map((id) => `task ${id}`),
      ...(await list('leases', 'ls', '--quiet')).map((id) => `lease ${id}`),
      ...(await list('snapshots', 'ls')).filter((line) => /Active|View/.test(line)),
      ...(await list('snapshots', '--snapshotter', 'native', 'ls')).filter((line) =>
        /Active|View/.test(line),
      ),
      ...mountsBelow(join(this.state, 'containers')).map((path) => `mount ${path}`),
      ...files(join(this.state, 'containers')).map((name) => `mount point of ${name}`),
      ...files(join(this.directory, 'root', 'containers')).map((id) => `record ${id}`),
      ...files(join(this.state, 'io')).map((name) => `fifo ${name}`),
      ...this.shims().map((pid) => `shim ${argvOf(pid).join(' ')}`),
    ];
  }

  /** Waits until nothing of any container is left. */
  async untraced(): Promise<void> {
    let last: string[] = [];
    await eventually('no trace of any container', async () => {
      last = await this.traces();
      return last.length === 0 ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`left behind: ${last.join('; ')}`, { cause: error });
    });
  }

  /** Removes all pods, and waits until nothing of their containers is left. */
  async clear(): Promise<void> {
    await this.daemon.client.clear();
    await this.untraced();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const socket = this.engine.socket;
    try {
      await this.base[Symbol.asyncDispose]();
    } finally {
      // Whatever a failed test left.
      for (const shim of findProcesses((argv) => isShimOf(argv, socket))) signalProcess(shim, 'SIGKILL');
      for (const path of SHARED.filter((shared) => !this.#foreign.includes(shared)))
        await rm(path, { recursive: true, force: true });
      await eventually('the cgroups are empty', () => removeCgroups(this.cgroup));
    }
  }

  async #hasImage(name: string): Promise<boolean> {
    const { image } = await this.#call<{ image: unknown }>((done) =>
      this.daemon.client.image.imageStatus({ image: { image: name } }, deadline(), done as never),
    );
    return image !== null;
  }

  #call<T>(start: (done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      start((error, answer) => {
        if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
        else resolve(answer);
      });
    });
  }
}

/** A sandbox and how it was asked for. */
export interface Pod {
  readonly id: string;
  readonly config: PodSandboxConfig;
}

function deadline(): { deadline: number } {
  return { deadline: Date.now() + DEADLINE_MS };
}
