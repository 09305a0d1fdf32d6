/**
 * A thin client of the daemon: the CRI's calls and Berth's own Admin service, over the unix socket. Every
 * call has a deadline, and fails as one sentence that says what was being done.
 */
import { connect } from 'node:net';
import {
  type CallOptions,
  type ClientUnaryCall,
  credentials,
  type requestCallback,
  type ServiceError,
  status as GrpcStatus,
} from '@grpc/grpc-js';
import { BerthError, type ErrorCode, isErrno, messageOf } from '../lib/errors.ts';
import { loadCri } from '../lib/proto.ts';
import type { AttachRequest } from '../gen/runtime/v1/AttachRequest.ts';
import type { ExecResponse__Output } from '../gen/runtime/v1/ExecResponse.ts';
import type { AttachResponse__Output } from '../gen/runtime/v1/AttachResponse.ts';
import type { PortForwardResponse__Output } from '../gen/runtime/v1/PortForwardResponse.ts';
import type { ContainerStatusResponse__Output } from '../gen/runtime/v1/ContainerStatusResponse.ts';
import type { ExecRequest } from '../gen/runtime/v1/ExecRequest.ts';
import type { ListContainersResponse__Output } from '../gen/runtime/v1/ListContainersResponse.ts';
import type { PortForwardRequest } from '../gen/runtime/v1/PortForwardRequest.ts';
import type { PodSandboxConfig } from '../gen/runtime/v1/PodSandboxConfig.ts';
import type { PodSandboxFilter } from '../gen/runtime/v1/PodSandboxFilter.ts';
import type { ListPodSandboxResponse__Output } from '../gen/runtime/v1/ListPodSandboxResponse.ts';
import type { PodSandboxStatusResponse__Output } from '../gen/runtime/v1/PodSandboxStatusResponse.ts';
import type { RunPodSandboxResponse__Output } from '../gen/runtime/v1/RunPodSandboxResponse.ts';
import type { StatusResponse__Output } from '../gen/runtime/v1/StatusResponse.ts';
import { type AdminClient, type JsonAnswer, loadAdmin } from './admin-service.ts';
import { UnreachableError } from './exit.ts';

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Answers from memory. */
const QUICK_MS = 10_000;
/** What kubelet allows for RunPodSandbox and StopPodSandbox. */
const SLOW_MS = 240_000;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  // A socket path is no valid authority, which servers in Go refuse.
  'grpc.default_authority': 'localhost',
};

export interface ClientOptions {
  /** Path of the unix socket. */
  readonly address: string;
  /** Milliseconds for each call, instead of the defaults. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

type Call<Response> = (options: CallOptions, done: requestCallback<Response>) => ClientUnaryCall;

export class Client implements Disposable {
  readonly #options: ClientOptions;
  readonly #runtime: InstanceType<ReturnType<typeof loadCri>['RuntimeService']>;
  readonly #admin: AdminClient;

  private constructor(options: ClientOptions) {
    const target = `unix:${options.address}`;
    this.#options = options;
    this.#runtime = new (loadCri().RuntimeService)(target, credentials.createInsecure(), CHANNEL_OPTIONS);
    this.#admin = new (loadAdmin().Admin)(target, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** Throws UnreachableError when nobody listens: gRPC alone would keep trying until the deadline. */
  static async connect(options: ClientOptions): Promise<Client> {
    await reach(options.address);
    return new Client(options);
  }

  [Symbol.dispose](): void {
    this.#runtime.close();
    this.#admin.close();
  }

  status(): Promise<StatusResponse__Output> {
    return this.#call('read the status', QUICK_MS, (o, done) =>
      this.#runtime.Status({ verbose: true }, o, done),
    );
  }

  listPods(filter: PodSandboxFilter = {}): Promise<ListPodSandboxResponse__Output> {
    return this.#call('list pods', QUICK_MS, (o, done) => this.#runtime.ListPodSandbox({ filter }, o, done));
  }

  podStatus(id: string, { verbose }: { verbose: boolean }): Promise<PodSandboxStatusResponse__Output> {
    return this.#call(`inspect pod "${id}"`, QUICK_MS, (o, done) =>
      this.#runtime.PodSandboxStatus({ podSandboxId: id, verbose }, o, done),
    );
  }

  runPod(config: PodSandboxConfig, runtimeHandler: string): Promise<RunPodSandboxResponse__Output> {
    const name = `${config.metadata?.namespace ?? ''}/${config.metadata?.name ?? ''}`;
    return this.#call(`run pod "${name}"`, SLOW_MS, (o, done) =>
      this.#runtime.RunPodSandbox({ config, runtimeHandler }, o, done),
    );
  }

  async stopPod(id: string): Promise<void> {
    await this.#call(`stop pod "${id}"`, SLOW_MS, (o, done) =>
      this.#runtime.StopPodSandbox({ podSandboxId: id }, o, done),
    );
  }

  async removePod(id: string): Promise<void> {
    await this.#call(`remove pod "${id}"`, SLOW_MS, (o, done) =>
      this.#runtime.RemovePodSandbox({ podSandboxId: id }, o, done),
    );
  }

  /** Containers of one pod. */
  listContainers(podSandboxId: string): Promise<ListContainersResponse__Output> {
    return this.#call('list containers', QUICK_MS, (o, done) =>
      this.#runtime.ListContainers({ filter: { podSandboxId } }, o, done),
    );
  }

  containerStatus(containerId: string): Promise<ContainerStatusResponse__Output> {
    return this.#call(`inspect container "${containerId}"`, QUICK_MS, (o, done) =>
      this.#runtime.ContainerStatus({ containerId, verbose: false }, o, done),
    );
  }

  /** The URL of the streaming server for it. */
  async exec(request: ExecRequest): Promise<string> {
    const { url } = await this.#call<ExecResponse__Output>('exec', QUICK_MS, (o, done) =>
      this.#runtime.Exec(request, o, done),
    );
    return url;
  }

  async attach(request: AttachRequest): Promise<string> {
    const { url } = await this.#call<AttachResponse__Output>('attach', QUICK_MS, (o, done) =>
      this.#runtime.Attach(request, o, done),
    );
    return url;
  }

  async portForward(request: PortForwardRequest): Promise<string> {
    const { url } = await this.#call<PortForwardResponse__Output>('forward ports', QUICK_MS, (o, done) =>
      this.#runtime.PortForward(request, o, done),
    );
    return url;
  }

  /** JSON values as berth/v1/admin.proto describes them. */
  async listDebts(): Promise<unknown> {
    const doing = 'list debts';
    return parsed(doing, await this.#call(doing, QUICK_MS, (o, done) => this.#admin.ListDebts({}, o, done)));
  }

  async retryDebt(id: string): Promise<unknown> {
    const doing = `retry debt "${id}"`;
    return parsed(
      doing,
      await this.#call(doing, SLOW_MS, (o, done) => this.#admin.RetryDebt({ id }, o, done)),
    );
  }

  async forgiveDebt(id: string): Promise<unknown> {
    const doing = `forgive debt "${id}"`;
    return parsed(
      doing,
      await this.#call(doing, QUICK_MS, (o, done) => this.#admin.ForgiveDebt({ id }, o, done)),
    );
  }

  async collectGarbage(dryRun: boolean): Promise<unknown> {
    const doing = 'collect garbage';
    return parsed(
      doing,
      await this.#call(doing, SLOW_MS, (o, done) => this.#admin.CollectGarbage({ dryRun }, o, done)),
    );
  }

  async testNetworks(): Promise<unknown> {
    const doing = 'test the networks';
    return parsed(
      doing,
      await this.#call(doing, SLOW_MS, (o, done) => this.#admin.TestNetworks({}, o, done)),
    );
  }

  /** undefined when the daemon is older than the call. */
  async showNetworks(): Promise<unknown> {
    const doing = 'show the networks';
    try {
      return parsed(
        doing,
        await this.#call(doing, SLOW_MS, (o, done) => this.#admin.ShowNetworks({}, o, done)),
      );
    } catch (error) {
      if (error instanceof BerthError && error.code === 'UNIMPLEMENTED') return undefined;
      throw error;
    }
  }

  async explain(pod: string): Promise<unknown> {
    const doing = `explain pod "${pod}"`;
    return parsed(
      doing,
      await this.#call(doing, QUICK_MS, (o, done) => this.#admin.ExplainSandbox({ pod }, o, done)),
    );
  }

  #call<Response>(doing: string, defaultMs: number, start: Call<Response>): Promise<Response> {
    const { signal, timeoutMs = defaultMs } = this.#options;
    return new Promise((resolve, reject) => {
      const call = start({ deadline: Date.now() + timeoutMs }, (error, response) => {
        signal.removeEventListener('abort', cancel);
        if (error !== null) reject(failure(doing, error));
        else if (response === undefined)
          reject(new BerthError('INTERNAL', `failed to ${doing}: empty answer`));
        else resolve(response);
      });
      const cancel = (): void => call.cancel();
      if (signal.aborted) cancel();
      else signal.addEventListener('abort', cancel, { once: true });
    });
  }
}

/** `failed to stop pod "x": <what the daemon says> (NOT_FOUND)`. */
function failure(doing: string, error: ServiceError): BerthError {
  const code = GrpcStatus[error.code];
  return new BerthError(CODES.get(code) ?? 'UNKNOWN', `failed to ${doing}: ${error.details} (${code})`, {
    cause: error,
  });
}

/** The gRPC codes that have a namesake among ours. */
const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  (
    [
      'CANCELLED',
      'INVALID_ARGUMENT',
      'DEADLINE_EXCEEDED',
      'NOT_FOUND',
      'ALREADY_EXISTS',
      'PERMISSION_DENIED',
      'RESOURCE_EXHAUSTED',
      'FAILED_PRECONDITION',
      'UNIMPLEMENTED',
      'INTERNAL',
      'UNAVAILABLE',
    ] as const
  ).map((code) => [code, code]),
);

function parsed(doing: string, answer: JsonAnswer): unknown {
  try {
    return JSON.parse(answer.json);
  } catch (cause) {
    throw new BerthError('INTERNAL', `failed to ${doing}: the answer is no JSON: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Connects once and hangs up. */
function reach(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: address });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error) =>
      reject(new UnreachableError(`cannot reach Berth at ${address}: ${why(error)}`)),
    );
  });
}

function why(error: Error): string {
  if (isErrno(error, 'ENOENT', 'ECONNREFUSED')) return 'nobody listens there; is `berth serve` running?';
  if (isErrno(error, 'EACCES', 'EPERM')) return 'permission denied; the socket is for root';
  return messageOf(error);
}
