import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { packageRoot } from '../../../src/lib/package-root.ts';
import { eventually } from '../../helpers/fixture.ts';
import { NODE_IP } from './machine.ts';
import type { Pod } from './pods.ts';

const START_MS = 30_000;
const PORT = 10250;
export const NODE_NAME = 'berth-node';

export interface KubeletOptions {
  /** Everything that kubelet writes goes below. */
  readonly directory: string;
  /** Berth's. */
  readonly socket: string;
  /** The parent of all cgroups of pods. */
  readonly cgroup: string;
  readonly featureGates?: Readonly<Record<string, boolean>>;
}

/** A kubelet without an API server, started with config/kubelet.yaml; its pods are the manifests in a directory. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #agent = new Agent({ keepAlive: true });
  #process: ChildProcess | undefined;

  private constructor(options: KubeletOptions) {
    this.#options = options;
  }

  /** Writes the configuration and starts it. */
  static async start(options: KubeletOptions): Promise<Kubelet> {
    const kubelet = new Kubelet(options);
    await kubelet.#writeFiles();
    await kubelet.start();
    return kubelet;
  }

  get manifests(): string {
    return join(this.#options.directory, 'manifests');
  }

  /** Logs of all pods, a directory each. */
  get podLogs(): string {
    return join(this.#options.directory, 'pod-logs');
  }

  /** The directories of pods, with their volumes, by uid. */
  get podDirectories(): string {
    return join(this.#options.directory, 'root/pods');
  }

  /** What the kubelets on this directory have logged so far. */
  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : '';
  }

  /** Starts the process, and waits until its endpoint answers. */
  async start(): Promise<void> {
    const program = process.env['KUBELET'];
    if (program === undefined)
      throw new Error('KUBELET is not set: run this through npm run conformance:kubelet');
    const { directory } = this.#options;
    const log = openSync(this.#logFile, 'a');
    const args = [
      `--config=${join(packageRoot(), 'config/kubelet.yaml')}`,
      `--config-dir=${join(directory, 'config.d')}`,
      `--root-dir=${join(directory, 'root')}`,
      `--cert-dir=${join(directory, 'pki')}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${NODE_IP}`,
      '--v=2',
    ];
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#process = child;
    await eventually(
      'kubelet answers',
      async () => {
        if (hasEnded(child)) throw new Error(`kubelet ended:\n${this.log().slice(-5_000)}`);
        return (await this.get('/healthz').catch(() => '')) === 'ok' ? true : undefined;
      },
      START_MS,
    );
  }

  /** Ends the process as systemd would; pods go on. */
  async stop(): Promise<void> {
    this.#agent.destroy();
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || hasEnded(child)) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async pods(): Promise<Pod[]> {
    return (JSON.parse(await this.get('/pods')) as { items: Pod[] | null }).items ?? [];
  }

  /** The body of an answer of kubelet's own HTTPS endpoint; anything but 200 throws. */
  async get(path: string): Promise<string> {
    const response = await this.open(path);
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(`GET ${path}: ${String(response.statusCode)} ${body}`);
    return body;
  }

  /** An answer to be read as it comes. */
  open(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request({ ...this.endpoint, path, agent: this.#agent }, resolve);
      call.on('error', reject).end();
    });
  }

  /** Where it is served, and by whom: kubelet signs its own certificate. */
  get endpoint(): { host: string; port: number; servername: string; ca: string } {
    const ca = readFileSync(join(this.#options.directory, 'pki/kubelet.crt'), 'utf8');
    return { host: '127.0.0.1', port: PORT, servername: NODE_NAME, ca };
  }

  get #logFile(): string {
    return join(this.#options.directory, 'kubelet.log');
  }

  /** Beside the file for everyone: paths, short waits, and the port that the test knows. */
  async #writeFiles(): Promise<void> {
    const { directory, socket, cgroup, featureGates = {} } = this.#options;
    for (const name of ['config.d', 'manifests']) await mkdir(join(directory, name), { recursive: true });
    const configuration = {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      containerRuntimeEndpoint: `unix://${socket}`,
      staticPodPath: this.manifests,
      podLogsDir: this.podLogs,
      volumePluginDir: join(directory, 'volume-plugins'),
      cgroupRoot: `/${cgroup}`,
      port: PORT,
      // root here may not lower it.
      oomScoreAdj: 0,
      crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
      containerLogMaxSize: '64Ki',
      containerLogMaxFiles: 3,
      containerLogMonitorInterval: '3s',
      featureGates,
    };
    await writeFile(join(directory, 'config.d/10-test.conf'), JSON.stringify(configuration));
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
