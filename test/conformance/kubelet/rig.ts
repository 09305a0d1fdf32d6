import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PodSandbox__Output } from '../../../src/gen/runtime/v1/PodSandbox.ts';
import { Cleanup } from '../../helpers/cleanup.ts';
import { TestDaemon } from '../../helpers/daemon.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { unmountBelow } from '../../helpers/mounts.ts';
import { clearNetwork } from '../clear-network.ts';
import { catalog } from '../images/catalog.ts';
import { buildPrograms } from '../images/programs.ts';
import { hostsFiles, Registry } from '../images/registry.ts';
import { Kubelet, type KubeletOptions, NODE_NAME } from './kubelet.ts';
import { unknownErrors } from './known-errors.ts';
import { prepareMachine } from './machine.ts';
import { isReady, type Manifest, type Pod } from './pods.ts';

/** For one test: several of the waits below. */
export const SPEC_MS = 150_000;

/** A pod starts within seconds; this is for a machine with much else to do. */
const WAIT_MS = 60_000;
const EVERY_MS = 100;

/** A daemon with an embedded containerd, a registry with the images, and a kubelet on them. */
export class KubeletRig implements AsyncDisposable {
  readonly directory: string;
  readonly daemon: TestDaemon;
  readonly kubelet: Kubelet;
  /** The parent of all cgroups of pods, below the root of each hierarchy. */
  readonly cgroup: string;
  readonly #cleanup: Cleanup;

  private constructor(parts: Parts) {
    this.directory = parts.directory;
    this.daemon = parts.daemon;
    this.kubelet = parts.kubelet;
    this.cgroup = parts.cgroup;
    this.#cleanup = parts.cleanup;
  }

  static async start(featureGates: KubeletOptions['featureGates'] = {}): Promise<KubeletRig> {
    assert.equal(process.env['BERTH_PRIVATE_NETWORK'], '1', 'this needs a network namespace of its own');
    const cleanup = new Cleanup();
    try {
      return new KubeletRig(await assemble(cleanup, featureGates));
    } catch (error) {
      await cleanup[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Hands a manifest to kubelet, which runs the pod. */
  async apply({ name, spec, labels = {} }: Manifest): Promise<void> {
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels },
      spec: { terminationGracePeriodSeconds: 5, ...spec },
    };
    const file = this.#manifest(name);
    // Written elsewhere first: kubelet reads whatever it is told of, however short.
    await writeFile(join(this.directory, 'next.json'), JSON.stringify(manifest));
    await rename(join(this.directory, 'next.json'), file);
  }

  /** Applies a manifest, and waits until the pod is ready. */
  async run(manifest: Manifest): Promise<Pod> {
    await this.apply(manifest);
    return this.until(`pod ${manifest.name} is ready`, manifest.name, isReady);
  }

  /** Takes a manifest away, which ends the pod. */
  async remove(name: string): Promise<void> {
    await rm(this.#manifest(name));
  }

  /** A pod as kubelet's own endpoint shows it. */
  async pod(name: string): Promise<Pod | undefined> {
    return (await this.kubelet.pods()).find(({ metadata }) => metadata.name === `${name}-${NODE_NAME}`);
  }

  /** Waits until kubelet has stopped a pod; what is left of it may stay until its next garbage collection. */
  async ended(name: string): Promise<void> {
    await this.eventually(`pod ${name} has ended`, async () => {
      if ((await this.pod(name)) !== undefined) return undefined;
      const sandboxes = await this.#sandboxes(name);
      return sandboxes.every(({ state }) => state === 'SANDBOX_NOTREADY') ? true : undefined;
    });
  }

  /** The id of a pod's sandbox. */
  async sandbox({ metadata }: Pod): Promise<string> {
    const labelSelector = { 'io.kubernetes.pod.uid': metadata.uid };
    const sandboxes = await this.daemon.client.list({ labelSelector });
    assert.equal(sandboxes.length, 1, `sandboxes of ${metadata.name}`);
    return sandboxes[0]?.id ?? '';
  }

  /** The first process of a container. */
  async pid(containerId: string): Promise<number> {
    const { info } = await this.daemon.client.containerStatus(containerId, true);
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  }

  /** A directory on the machine, for a volume. */
  async hostDirectory(name: string): Promise<string> {
    const path = join(this.directory, 'volumes', name);
    await mkdir(path, { recursive: true });
    return path;
  }

  /** The body of an answer to a plain GET. */
  async fetch(url: string): Promise<string> {
    return (await fetch(url, { headers: { connection: 'close' } })).text();
  }

  /** Errors in kubelet's log that are not known to be harmless; `restarted`: Berth was away for a while. */
  errors({ restarted = false } = {}): string[] {
    return unknownErrors(this.kubelet.log(), restarted);
  }

  /** A pod that has to be there. */
  async present(name: string): Promise<Pod> {
    const pod = await this.pod(name);
    assert.ok(pod, `pod ${name} is not there`);
    return pod;
  }

  /** The lines of a file on the machine, once there are so many. */
  lines(file: string, least: number): string[] | undefined {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    return lines.length >= least ? lines : undefined;
  }

  /** Waits for a pod of which the condition holds. */
  async until(what: string, name: string, holds: (pod: Pod) => boolean, ms = WAIT_MS): Promise<Pod> {
    let last: Pod | undefined;
    const probe = async (): Promise<Pod | undefined> => {
      last = await this.pod(name);
      return last !== undefined && holds(last) ? last : undefined;
    };
    return this.eventually(what, probe, ms).catch((error: unknown) => {
      throw new Error(`${String(error)}\nlast seen: ${JSON.stringify(last?.status, null, 2)}`, {
        cause: error,
      });
    });
  }

  /** Waits for something; the logs of both sides are in the error when it never comes. */
  async eventually<T>(
    what: string,
    probe: () => Promise<T | undefined> | T | undefined,
    ms = WAIT_MS,
  ): Promise<T> {
    try {
      return await eventually(what, probe, ms, EVERY_MS);
    } catch (error) {
      const logs = `kubelet:\n${tail(this.kubelet.log())}\nBerth:\n${tail(await this.daemon.log())}`;
      throw new Error(`${String(error)}\n${logs}`, { cause: error });
    }
  }

  /** Whole text of a container's log file, one restart's, without time, stream and tag; '' until there is one. */
  async log(pod: Pod, container: string, restart = 0): Promise<string> {
    const directory = this.logDirectory(pod, container);
    const file = join(directory, `${restart}.log`);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => `${line.split(' ').slice(3).join(' ')}\n`).join('');
  }

  logDirectory({ metadata }: Pod, container: string): string {
    return join(this.kubelet.podLogs, `${metadata.namespace}_${metadata.name}_${metadata.uid}`, container);
  }

  /** Waits until a container has logged something. */
  logged(pod: Pod, container: string, expected: RegExp, restart = 0): Promise<string> {
    return this.eventually(`the log of ${container} matches ${String(expected)}`, async () => {
      const text = await this.log(pod, container, restart);
      return expected.test(text) ? text : undefined;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup[Symbol.asyncDispose]();
  }

  #sandboxes(name: string): Promise<PodSandbox__Output[]> {
    return this.daemon.client.list({
      labelSelector: { 'io.kubernetes.pod.name': `${name}-${NODE_NAME}` },
    });
  }

  #manifest(name: string): string {
    return join(this.kubelet.manifests, `${name}.json`);
  }
}

interface Parts {
  readonly directory: string;
  readonly daemon: TestDaemon;
  readonly kubelet: Kubelet;
  readonly cgroup: string;
  readonly cleanup: Cleanup;
}

async function assemble(cleanup: Cleanup, featureGates: KubeletOptions['featureGates']): Promise<Parts> {
  const images = catalog(await buildPrograms());
  const scratch = cleanup.use(await Scratch.create());
  const directory = scratch.path;
  const cgroup = `berth-test-${randomBytes(4).toString('hex')}`;
  // Volumes of pods, and the root directory itself, which kubelet mounts on itself.
  cleanup.defer(() => unmountBelow(directory));
  cleanup.defer(clearNetwork);
  cleanup.use(await prepareMachine(directory, cgroup));
  const registry = cleanup.use(await Registry.start(images));
  const certs = await hostsFiles(join(directory, 'certs.d'), registry, images.keys());
  const daemon = cleanup.use(
    await TestDaemon.start({ config: { containerd: { address: 'embedded', registry_config_path: certs } } }),
  );
  // Containers that run as anyone have to reach their volumes and root file systems.
  for (const path of [tmpdir(), directory, daemon.directory]) await chmod(path, 0o711);
  const gates = featureGates === undefined ? {} : { featureGates };
  const kubelet = await Kubelet.start({ directory, socket: daemon.socket, cgroup, ...gates });
  cleanup.defer(() => kubelet.stop());
  return { directory, daemon, kubelet, cgroup, cleanup };
}

function tail(log: string): string {
  return log.slice(-10_000);
}
