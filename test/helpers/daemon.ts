import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'smol-toml';
import { CriClient } from './cri-client.ts';
import { unmountBelow } from './mounts.ts';
import type { TestNode } from './node.ts';
import { PATIENCE_MS } from './patience.ts';

/** The program. */
export const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const START_MS = 4 * PATIENCE_MS;
const STOP_MS = PATIENCE_MS;

type Table = Record<string, unknown>;

export interface DaemonOptions {
  /** Where bridges and rules go; without it the network namespace of the test itself. */
  readonly node?: TestNode;
  /** What /etc/cni/net.d holds, by file name; a bridge network by default. */
  readonly networks?: Readonly<Record<string, unknown>>;
  /** Configuration keys that differ, by section, in snake_case. */
  readonly config?: Readonly<Record<string, Table>>;
}

/**
 * A real daemon as a process of its own, on directories and a socket of its own. `start` may follow `stop` or `kill`: the
 * directories stay until the end.
 */
export class TestDaemon implements AsyncDisposable {
  readonly directory: string;
  readonly #options: DaemonOptions;
  #process: ChildProcess | undefined;
  #client: CriClient | undefined;

  private constructor(directory: string, options: DaemonOptions) {
    this.directory = directory;
    this.#options = options;
  }

  /** Makes the directories and starts the daemon on them. */
  static async start(options: DaemonOptions = {}): Promise<TestDaemon> {
    const daemon = new TestDaemon(await mkdtemp(join(tmpdir(), 'berth-daemon-')), options);
    try {
      await daemon.#writeFiles();
      await daemon.start();
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  get socket(): string {
    return join(this.directory, 'berth.sock');
  }

  get confDir(): string {
    return join(this.directory, 'net.d');
  }

  get client(): CriClient {
    this.#client ??= new CriClient(this.socket);
    return this.#client;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the daemon does not run');
    return pid;
  }

  /** What the daemons on these directories have written to stderr and stdout so far. */
  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8');
  }

  /** Starts the process and waits until the socket is there, that is, until calls can be answered. */
  async start(): Promise<void> {
    const argv = [main, 'serve', '--config', join(this.directory, 'config.toml')];
    const [file, args] = this.#options.node?.command(...argv) ?? [argv[0] ?? '', argv.slice(1)];
    const log = openSync(this.#logFile, 'a');
    // In tests its traces can be read; in the benchmark it runs as on a node.
    const env = { ...process.env, NODE_OPTIONS: process.execArgv.join(' ') };
    const child = spawn(file, args, { stdio: ['ignore', log, log], env });
    closeSync(log);
    this.#process = child;
    const deadline = Date.now() + START_MS;
    while (!existsSync(this.socket)) {
      if (hasEnded(child) || Date.now() > deadline) {
        throw new Error(`the daemon ${hasEnded(child) ? 'ended' : 'did not serve'}:\n${await this.log()}`);
      }
      await sleep(10);
    }
    // One that was made meanwhile would wait before it tried again.
    this.#disconnect();
  }

  /** SIGTERM, as systemd would; pods stay. Returns the exit code, null when a signal ended it. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** SIGKILL: what a crash looks like. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
    await rm(this.socket, { force: true });
  }

  /** Removes all pods, ends the daemon and removes its directories, whatever state they are in. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#process !== undefined && existsSync(this.socket)) await this.client.clear();
    } finally {
      await this.stop();
      await unmountBelow(this.directory);
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  get #logFile(): string {
    return join(this.directory, 'log');
  }

  #disconnect(): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.#disconnect();
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return null;
    if (!hasEnded(child)) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await once(child, 'exit');
      clearTimeout(timer);
    }
    return child.exitCode;
  }

  async #writeFiles(): Promise<void> {
    const { directory } = this;
    await mkdir(this.confDir);
    const networks = this.#options.networks ?? { '10-test.conflist': bridgeNetwork(directory) };
    for (const [name, content] of Object.entries(networks)) {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      await writeFile(join(this.confDir, name), text);
    }
    const defaults: Record<string, Table> = {
      grpc: { address: this.socket },
      storage: { root: join(directory, 'root'), state: join(directory, 'state') },
      cni: { conf_dir: this.confDir, cache_dir: join(directory, 'cni'), netns_dir: join(directory, 'netns') },
    };
    // Sandboxes alone need no engine; a test that runs containers asks for one.
    const noEngine = { containerd: { address: join(directory, 'no-engine.sock') } };
    const config: Record<string, Table> = { ...noEngine, ...defaults, ...this.#options.config };
    for (const [section, keys] of Object.entries(defaults)) config[section] = { ...keys, ...config[section] };
    await writeFile(join(directory, 'config.toml'), stringify(config));
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** bridge + host-local + portmap without masquerade, so that no rule is needed; reservations under a directory. */
export function bridgeNetwork(dataDir: string, subnet = '10.97.0.0/16'): unknown {
  return {
    cniVersion: '1.0.0',
    name: 'berth-test',
    plugins: [
      {
        type: 'bridge',
        bridge: 'brt0',
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(dataDir, 'ipam'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}
