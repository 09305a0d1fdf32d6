import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { ContainerConfig } from '../../src/gen/runtime/v1/ContainerConfig.ts';
import type { ContainerStatusResponse__Output } from '../../src/gen/runtime/v1/ContainerStatusResponse.ts';
import type { CreateContainerResponse__Output } from '../../src/gen/runtime/v1/CreateContainerResponse.ts';
import type { PodSandboxConfig } from '../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { CriClient } from './cri-client.ts';

const MESSAGE_MAX = 16 << 20;

type Done<T> = (error: ServiceError | null, answer?: T) => void;

/** A sandbox with what it was asked for. */
export interface Pod {
  readonly id: string;
  readonly config: PodSandboxConfig;
}

/** The calls for containers against any CRI endpoint. */
export class ContainerClient implements Disposable {
  readonly cri: CriClient;
  readonly #raw: Client;

  constructor(socket: string) {
    this.cri = new CriClient(socket);
    this.#raw = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MESSAGE_MAX,
      'grpc.default_authority': 'localhost',
    });
  }

  async runPod(config: PodSandboxConfig): Promise<Pod> {
    return { id: await this.cri.run(config), config };
  }

  async create(pod: Pod, config: ContainerConfig): Promise<string> {
    const request = { podSandboxId: pod.id, config, sandboxConfig: pod.config };
    const { runtime } = this.cri;
    return (await call<CreateContainerResponse__Output>((done) => runtime.createContainer(request, done)))
      .containerId;
  }

  async start(containerId: string): Promise<void> {
    await call((done) => this.cri.runtime.startContainer({ containerId }, done));
  }

  async exec(containerId: string, cmd: string[]): Promise<void> {
    const { exitCode } = await call<{ exitCode: number }>((done) =>
      this.cri.runtime.execSync({ containerId, cmd }, done),
    );
    if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
  }

  async stop(containerId: string, timeout: number): Promise<void> {
    await call((done) => this.cri.runtime.stopContainer({ containerId, timeout }, done));
  }

  async remove(containerId: string): Promise<void> {
    await call((done) => this.cri.runtime.removeContainer({ containerId }, done));
  }

  /** Throws unless the container runs or has ended well. */
  async check(containerId: string): Promise<void> {
    const { status } = await call<ContainerStatusResponse__Output>((done) =>
      this.cri.runtime.containerStatus({ containerId }, done),
    );
    if (
      status === null ||
      !['CONTAINER_RUNNING', 'CONTAINER_EXITED'].includes(status.state) ||
      status.exitCode !== 0
    )
      throw new Error(`container "${containerId}" is not well: ${JSON.stringify(status)}`);
  }

  /** The bytes of a whole list: taking them apart costs this process the same, whoever answers. */
  list(method: 'ListPodSandbox' | 'ListContainers'): Promise<Buffer> {
    const same = (bytes: Buffer): Buffer => bytes;
    return call((done) =>
      this.#raw.makeUnaryRequest(`/runtime.v1.RuntimeService/${method}`, same, same, Buffer.alloc(0), done),
    );
  }

  [Symbol.dispose](): void {
    this.cri[Symbol.dispose]();
    this.#raw.close();
  }
}

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, answer) => {
      if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
      else resolve(answer);
    });
  });
}
