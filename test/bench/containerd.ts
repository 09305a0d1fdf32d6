import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { stringify } from 'smol-toml';
import { findProcesses, isShimOf } from '../../src/containerd/embedded/process.ts';
import { CriClient } from '../helpers/cri-client.ts';
import { unmountBelow } from '../helpers/mounts.ts';
import type { TestNode } from '../helpers/node.ts';
import { pauseImage, pauseImageArchive } from './pause-image.ts';

const START_MS = 20_000;
const STOP_MS = 10_000;
const CRI = 'io.containerd.grpc.v1.cri';

// containerd's own, whatever its configuration says; removed again when we were the first to use them.
const sharedDirectories = ['/run/containerd', '/var/lib/cni'];

export interface ContainerdOptions {
  readonly node: TestNode;
  readonly confDir: string;
  readonly binDir: string;
  /** On a tmpfs, as /run is. */
  readonly state: string;
  /** Runtime handlers, with containerd's keys; its own defaults when absent. */
  readonly runtimes?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Its own default when absent. */
  readonly snapshotter?: string;
}

/** Debian's containerd with its CRI plugin, on directories and a socket of its own, in a session of its own. */
export class Containerd implements AsyncDisposable {
  readonly directory: string;
  readonly client: CriClient;
  readonly #process: ChildProcess;
  readonly #foreign: readonly string[];

  private constructor(directory: string, child: ChildProcess, foreign: readonly string[]) {
    this.directory = directory;
    this.#process = child;
    this.#foreign = foreign;
    this.client = new CriClient(this.socket);
  }

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const foreign = sharedDirectories.filter((path) => existsSync(path));
    const directory = await mkdtemp(join(tmpdir(), 'containerd-'));
    await writeFile(join(directory, 'config.toml'), stringify(configuration(directory, options)));
    const [file, args] = options.node.command('containerd', '--config', join(directory, 'config.toml'));
    const log = openSync(join(directory, 'log'), 'a');
    const child = spawn(file, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    const containerd = new Containerd(directory, child, foreign);
    try {
      await containerd.#ready();
      await containerd.#importPauseImage();
    } catch (error) {
      const text = await readFile(join(directory, 'log'), 'utf8');
      await containerd[Symbol.asyncDispose]();
      throw new Error(`failed to start containerd:\n${text.slice(-4000)}`, { cause: error });
    }
    return containerd;
  }

  get socket(): string {
    return join(this.directory, 'containerd.sock');
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The daemon and its shims, in kB of resident memory. */
  residentKb(): number {
    return [this.pid, ...this.#shims()].reduce((sum, pid) => sum + residentKb(pid), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
      await once(this.#process, 'exit');
      clearTimeout(timer);
    }
    for (const pid of this.#shims()) killGroup(pid);
    await sleep(100);
    await unmountBelow(this.directory);
    await rm(this.directory, { recursive: true, force: true });
    for (const path of sharedDirectories.filter((shared) => !this.#foreign.includes(shared))) {
      await removeEmpty(path);
    }
    removeCgroups();
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      try {
        await this.client.version();
        return;
      } catch (error) {
        if (this.#process.exitCode !== null || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async #importPauseImage(): Promise<void> {
    const { stdout: program } = await execa('which', ['catatonit']);
    const archive = join(this.directory, 'pause.tar');
    await writeFile(archive, pauseImageArchive(program));
    await importImage(this.socket, archive);
  }

  #shims(): number[] {
    return shimsOf(this.socket);
  }
}

/** The shims of the containerd at this address. */
export function shimsOf(socket: string): number[] {
  return findProcesses((argv) => isShimOf(argv, socket)).map(({ pid }) => pid);
}

/** Imports an image for the CRI of the containerd at this address. */
export async function importImage(socket: string, archive: string): Promise<void> {
  await execa('ctr', ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', archive]);
}

function configuration(
  directory: string,
  { confDir, binDir, state, runtimes, snapshotter }: ContainerdOptions,
): Record<string, unknown> {
  const address = join(directory, 'containerd.sock');
  return {
    version: 2,
    root: join(directory, 'root'),
    state,
    grpc: { address },
    ttrpc: { address: `${address}.ttrpc` },
    debug: { level: 'warn' },
    plugins: {
      [CRI]: {
        sandbox_image: pauseImage,
        restrict_oom_score_adj: true,
        netns_mounts_under_state_dir: true,
        enable_unprivileged_ports: true,
        enable_unprivileged_icmp: true,
        stream_server_address: '127.0.0.1',
        stream_server_port: '0',
        cni: { conf_dir: confDir, bin_dir: binDir },
        containerd: {
          ...(runtimes === undefined ? {} : { runtimes }),
          ...(snapshotter === undefined ? {} : { snapshotter }),
        },
      },
      // Where containerd 2 looks for it; its transfer service unpacks on no other than overlayfs unless it is told how.
      ...(snapshotter === undefined
        ? {}
        : { 'io.containerd.cri.v1.images': { snapshotter, use_local_image_pull: true } }),
      'io.containerd.internal.v1.opt': { path: join(directory, 'opt') },
    },
  };
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** Resident memory of a process; 0 when it is gone. */
export function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1] ?? 0);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

/** The cgroup that the sandboxes of a benchmark are in. */
export const cgroupParent = '/berth-bench';

/** Empty cgroups stay behind the sandboxes; with cgroup v1 one in each hierarchy. */
function removeCgroups(): void {
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const directory = join('/sys/fs/cgroup', hierarchy, cgroupParent);
    if (hierarchy !== '' && !existsSync(directory)) continue;
    removeTree(directory);
  }
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

/** Removes directories that hold nothing but empty directories; what somebody else put there meanwhile stays. */
async function removeEmpty(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((one) => one.isDirectory())) await removeEmpty(join(path, entry.name));
  await rmdir(path).catch(() => undefined);
}
