import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { Containerd } from '../../../src/containerd/containerd.ts';
import { EmbeddedContainerd, embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import { argvOf, isShimOf, signalProcess } from '../../../src/containerd/embedded/process.ts';
import { findProcesses } from '../../../src/containerd/embedded/process.ts';
import { ContainerdImageService } from '../../../src/containerd/image-service.ts';
import { readImage } from '../../../src/containerd/image-documents.ts';
import { runcOptionsAny } from '../../../src/containerd/typeurl.ts';
import { Unpacker } from '../../../src/containerd/unpack.ts';
import { eventually } from '../../helpers/fixture.ts';
import { unmountBelow } from '../../helpers/mounts.ts';
import { PATIENCE_MS } from '../../helpers/patience.ts';
import { MemoryLog } from './memory-log.ts';
import { tinyImage, type TinyImage } from './tiny-image.ts';

/** Where each containerd's shims listen, whatever its configuration says; others may be using it. */
const SHARED = ['/run/containerd/s', '/run/containerd'];

/** Which containerd is tested, beside Debian's own: CONTAINERD names another. */
export const executable = process.env['CONTAINERD'] ?? 'containerd';

export const imageName = 'berth.local/test/tiny:1';

/** A containerd on directories and a socket of its own, a client of it, and what a test makes there. */
export class TestEngine implements AsyncDisposable {
  readonly directory: string;
  readonly cgroup = `berth-test-${randomBytes(4).toString('hex')}`;
  readonly log = new MemoryLog();
  embedded: EmbeddedContainerd;
  readonly client: Containerd;
  readonly images: ContainerdImageService;

  private constructor(directory: string) {
    this.directory = directory;
    this.embedded = this.another();
    this.client = new Containerd({ address: this.embedded.address, log: this.log });
    this.images = new ContainerdImageService(this.client.connection);
  }

  static async start(): Promise<TestEngine> {
    const engine = new TestEngine(await mkdtemp(join(tmpdir(), 'berth-engine-')));
    try {
      await engine.embedded.start();
      engine.client.connection.start();
      await engine.ready();
    } catch (error) {
      const log = await readFile(engine.paths.log, 'utf8').catch(() => '');
      await engine[Symbol.asyncDispose]();
      throw new Error(`failed to start containerd:\n${log.slice(-4_000)}`, { cause: error });
    }
    return engine;
  }

  get paths() {
    return embeddedPaths(this.#directories());
  }

  get pid(): number {
    return this.embedded.status.pid ?? 0;
  }

  /** Another supervisor of the same containerd, as the next Berth is. */
  another(settings: { registryConfigPath?: string } = {}): EmbeddedContainerd {
    return new EmbeddedContainerd({
      ...this.#directories(),
      registryConfigPath: '',
      snapshotter: '',
      executable,
      log: this.log,
      ...settings,
    });
  }

  async ready(): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await this.client.connection.ready({ signal });
    await this.images.ready({ signal });
  }

  /** Imports the tiny image, layers packed. */
  async importImage(name = imageName): Promise<TinyImage> {
    const image = tinyImage(name);
    const archive = join(this.directory, 'image.tar');
    await writeFile(archive, image.archive);
    await this.ctr('images', 'import', '--no-unpack', archive);
    return image;
  }

  async ctr(...args: string[]): Promise<string> {
    return (await execa('ctr', ['--address', this.embedded.address, '-n', 'k8s.io', ...args])).stdout;
  }

  /** Creates a container of the tiny image with a task that is not started. Returns the path of its output. */
  async createTask(id: string, args: readonly string[]): Promise<{ pid: number; output: string }> {
    const { client } = this;
    const { target } = await client.images.get(imageName);
    const parent = await new Unpacker(client).unpack(await readImage(client.content, target), 'overlayfs');
    // Until the container holds its snapshot, the garbage collector may take it.
    using lease = await client.leases.hold({ ttlMs: 60_000 });
    const rootfs = await client.snapshots('overlayfs').prepare({ key: id, parent }, { lease: lease.id });
    const options = runcOptionsAny(client.connection.api, { root: this.paths.runcRoot });
    await client.containers.create({
      id,
      labels: { 'io.berth.test': this.cgroup },
      image: imageName,
      runtime: { type: 'io.containerd.runc.v2', options },
      spec: runtimeSpec(args, `/${this.cgroup}/${id}`),
      snapshotter: 'overlayfs',
      snapshotKey: id,
    });
    const output = join(this.directory, `${id}.out`);
    const io = { stdin: '', stdout: `file://${output}`, stderr: `file://${output}`, terminal: false };
    return { pid: await client.tasks.create({ containerId: id, rootfs, io }), output };
  }

  /** The shims of this containerd. */
  shims(): number[] {
    return findProcesses((argv) => isShimOf(argv, this.embedded.address)).map(({ pid }) => pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endTasks();
    this.client.connection.close();
    await this.embedded.stop({ ifIdle: false });
    // Whatever a failed test left: what runs, then its shim.
    for (const shim of findProcesses((argv) => isShimOf(argv, this.embedded.address))) {
      for (const child of childrenOf(shim.pid)) killQuietly(child);
      signalProcess(shim, 'SIGKILL');
    }
    await eventually('the shims have ended', () => (this.shims().length === 0 ? true : undefined));
    await unmountBelow(this.directory);
    await rm(this.directory, { recursive: true, force: true });
    for (const path of SHARED) await rmdir(path).catch(() => undefined);
    await eventually('the cgroups are empty', () => removeCgroups(this.cgroup));
  }

  async #endTasks(): Promise<void> {
    const { tasks } = this.client;
    try {
      for (const { containerId } of await tasks.list({ timeoutMs: 2_000 })) {
        await tasks.kill({ containerId }, 9, { all: true, timeoutMs: 2_000 }).catch(() => undefined);
        await tasks.wait({ containerId }, { timeoutMs: 2_000 }).catch(() => undefined);
        await tasks.delete({ containerId }, { timeoutMs: 2_000 }).catch(() => undefined);
      }
    } catch {
      // No containerd: the shims are ended below.
    }
  }

  #directories(): { root: string; state: string } {
    return { root: join(this.directory, 'root'), state: join(this.directory, 'run') };
  }
}

/** Waits until a file has this content; containers write when they like. */
export function untilOutput(path: string, expected: RegExp): Promise<string> {
  return eventually(`${path} matches ${String(expected)}`, () => {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return expected.test(text) ? text : undefined;
  });
}

/** Whether a process of this pid runs what it did. */
export function runs(pid: number, program: string): boolean {
  return argvOf(pid).includes(program);
}

export { pause };

/** A specification by hand: what a busybox needs. */
function runtimeSpec(args: readonly string[], cgroupsPath: string): object {
  return {
    ociVersion: '1.0.2',
    process: processSpec(args),
    root: { path: 'rootfs' },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] }],
    linux: {
      cgroupsPath,
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
    },
  };
}

export function processSpec(args: readonly string[]): object {
  return { args, cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 }, noNewPrivileges: true };
}

function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

/** Empty cgroups stay behind; with cgroup v1 one in each hierarchy. True once there is none. */
function removeCgroups(name: string): true | undefined {
  let left = 0;
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const directory = join('/sys/fs/cgroup', hierarchy, name);
    removeTree(directory);
    if (existsSync(directory)) left += 1;
  }
  return left === 0 ? true : undefined;
}

/** rmdir from the leaves up: the files of a cgroup cannot be removed. */
function removeTree(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    }
    rmdirSync(directory);
  } catch {
    // Not there, or a process is still in it.
  }
}
