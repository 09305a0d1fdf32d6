import { credentials } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import type { Container__Output } from '../../src/gen/runtime/v1/Container.ts';
import type { ContainerStatusResponse__Output } from '../../src/gen/runtime/v1/ContainerStatusResponse.ts';
import type { ImageServiceClient } from '../../src/gen/runtime/v1/ImageService.ts';
import type { PodSandbox__Output } from '../../src/gen/runtime/v1/PodSandbox.ts';
import type { PodSandboxConfig } from '../../src/gen/runtime/v1/PodSandboxConfig.ts';
import type { PodSandboxFilter } from '../../src/gen/runtime/v1/PodSandboxFilter.ts';
import type { PodSandboxStatusResponse__Output } from '../../src/gen/runtime/v1/PodSandboxStatusResponse.ts';
import type { RuntimeServiceClient } from '../../src/gen/runtime/v1/RuntimeService.ts';
import type { StatusResponse__Output } from '../../src/gen/runtime/v1/StatusResponse.ts';
import type { VersionResponse__Output } from '../../src/gen/runtime/v1/VersionResponse.ts';
import { loadCri } from '../../src/lib/proto.ts';
import { PATIENCE_MS } from './patience.ts';

const DEADLINE_MS = 2 * PATIENCE_MS;

const limits = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.max_send_message_length': 16 << 20 };

type Done<T> = (error: ServiceError | null, answer?: T) => void;

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, answer) => {
      if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
      else resolve(answer);
    });
  });
}

/** The calls that tests and benchmarks make, against any CRI endpoint. */
export class CriClient implements Disposable {
  /** For calls that have no method here. */
  readonly runtime: RuntimeServiceClient;
  readonly image: ImageServiceClient;

  constructor(socket: string) {
    const cri = loadCri();
    // Node's HTTP/2 insists on an authority that is a host name.
    const options = { ...limits, 'grpc.default_authority': 'localhost' };
    this.runtime = new cri.RuntimeService(`unix:${socket}`, credentials.createInsecure(), options);
    this.image = new cri.ImageService(`unix:${socket}`, credentials.createInsecure(), options);
  }

  version(): Promise<VersionResponse__Output> {
    return call((done) => this.runtime.version({}, this.#deadline(), done));
  }

  status(verbose = false): Promise<StatusResponse__Output> {
    return call((done) => this.runtime.status({ verbose }, this.#deadline(), done));
  }

  async run(config: PodSandboxConfig, runtimeHandler = '', withinMs = DEADLINE_MS): Promise<string> {
    const answer = await call<{ podSandboxId: string }>((done) =>
      this.runtime.runPodSandbox({ config, runtimeHandler }, this.#deadline(withinMs), done),
    );
    return answer.podSandboxId;
  }

  async stop(podSandboxId: string): Promise<void> {
    await call((done) => this.runtime.stopPodSandbox({ podSandboxId }, this.#deadline(), done));
  }

  async remove(podSandboxId: string): Promise<void> {
    await call((done) => this.runtime.removePodSandbox({ podSandboxId }, this.#deadline(), done));
  }

  podStatus(podSandboxId: string, verbose = false): Promise<PodSandboxStatusResponse__Output> {
    return call((done) => this.runtime.podSandboxStatus({ podSandboxId, verbose }, this.#deadline(), done));
  }

  async list(filter: PodSandboxFilter | null = null): Promise<PodSandbox__Output[]> {
    const answer = await call<{ items: PodSandbox__Output[] }>((done) =>
      this.runtime.listPodSandbox({ filter }, this.#deadline(), done),
    );
    return answer.items;
  }

  async containers(): Promise<Container__Output[]> {
    const answer = await call<{ containers: Container__Output[] }>((done) =>
      this.runtime.listContainers({}, this.#deadline(), done),
    );
    return answer.containers;
  }

  containerStatus(containerId: string, verbose = false): Promise<ContainerStatusResponse__Output> {
    return call((done) => this.runtime.containerStatus({ containerId, verbose }, this.#deadline(), done));
  }

  /** Stops and removes every sandbox there is. */
  async clear(): Promise<void> {
    for (const { id } of await this.list()) {
      await this.stop(id);
      await this.remove(id);
    }
  }

  [Symbol.dispose](): void {
    this.runtime.close();
    this.image.close();
  }

  #deadline(withinMs = DEADLINE_MS): { deadline: number } {
    return { deadline: Date.now() + withinMs };
  }
}

/** The configuration of a sandbox as kubelet would send it. */
export function podConfig(name: string, more: PodSandboxConfig = {}): PodSandboxConfig {
  return {
    metadata: { name, uid: `${name}-uid`, namespace: 'default', attempt: 0 },
    hostname: name,
    labels: { 'io.kubernetes.pod.name': name },
    linux: { cgroupParent: `/berth-test/${name}` },
    ...more,
  };
}
