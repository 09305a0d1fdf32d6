import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type CallOptions, type ClientUnaryCall, type ServiceError, status } from '@grpc/grpc-js';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { PodSandboxConfig } from '../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import type { RuntimeServiceClient } from '../../../src/gen/runtime/v1/RuntimeService.ts';
import { type ContainerRig, imageName } from '../containers/rig.ts';
import type { Random } from './random.ts';

type Done<T> = (error: ServiceError | null, answer?: T) => void;
type Start<T> = (runtime: RuntimeServiceClient, options: CallOptions, done: Done<T>) => ClientUnaryCall;

const PODS = ['a', 'b', 'c', 'd'];
const COMMANDS = [
  ['sleep', '3600'],
  ['sleep', '3600'],
  ['sh', '-c', 'exit 3'],
  ['sh', '-c', 'sleep 0.3; exit 4'],
  ['sh', '-c', 'trap "" TERM; while :; do echo x; sleep 0.1; done'],
  ['/nonexistent'],
];
const EXECUTED: readonly (readonly [string[], number])[] = [
  [['echo', 'hello'], 0],
  [['sh', '-c', 'sleep 100 & sleep 100'], 1],
  [['nonexistent'], 0],
];
/** What a client may be told; UNKNOWN is a plugin's or a runtime's own error. */
const EXPECTED = [
  'CANCELLED',
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'UNAVAILABLE',
];
const PROGRAMMING = /(Type|Reference|Range|Syntax|Assertion)Error|undefined|\[object/;
/** Of the ids seen last, which are the likelier to live. */
const RECENT = 6;

/** Random calls of the CRI, with names that meet, ids that may be gone, deadlines that pass, and some given up. */
export class RandomCalls {
  /** One line for each call and each answer. */
  readonly trace: string[] = [];
  /** Answers that nobody should get. */
  readonly strange: string[] = [];
  readonly #rig: ContainerRig;
  readonly #random: Random;
  readonly #pods = new Map<string, PodSandboxConfig>();
  readonly #containers = new Set<string>();

  constructor(rig: ContainerRig, random: Random) {
    this.#rig = rig;
    this.#random = random;
  }

  /** Makes one call, or a few that belong together; resolves with their answers, whatever these are. */
  one(): Promise<void> {
    const runs = [this.#run, this.#run, this.#run];
    const ends = [this.#stopPod, this.#removePod, this.#stop, this.#remove];
    const uses = [this.#create, this.#create, this.#create, this.#exec, this.#start, this.#look];
    return this.#random.pick([...runs, ...ends, ...uses]).call(this);
  }

  async #run(): Promise<void> {
    const config = this.#podConfig(this.#random.pick(PODS));
    const made = await this.#call<{ podSandboxId: string }>(
      `RunPodSandbox ${config.metadata?.name}`,
      (runtime, options, done) => runtime.runPodSandbox({ config }, options, done),
    );
    if (made !== undefined) this.#pods.set(made.podSandboxId, config);
  }

  async #stopPod(): Promise<void> {
    const podSandboxId = this.#pod();
    await this.#call(`StopPodSandbox ${podSandboxId}`, (runtime, options, done) =>
      runtime.stopPodSandbox({ podSandboxId }, options, done),
    );
  }

  async #removePod(): Promise<void> {
    const podSandboxId = this.#pod();
    const removed = await this.#call(`RemovePodSandbox ${podSandboxId}`, (runtime, options, done) =>
      runtime.removePodSandbox({ podSandboxId }, options, done),
    );
    if (removed !== undefined) this.#pods.delete(podSandboxId);
  }

  async #create(): Promise<void> {
    const podSandboxId = this.#pod();
    const sandboxConfig = this.#pods.get(podSandboxId) ?? this.#podConfig('a');
    const pid = this.#random.pick(['POD', 'CONTAINER'] as const);
    const name = this.#random.pick(['one', 'two']);
    const config: ContainerConfig = {
      metadata: { name, attempt: 0 },
      image: { image: imageName },
      command: this.#random.pick(COMMANDS),
      logPath: `${name}.log`,
      linux: { securityContext: { namespaceOptions: { pid } } },
    };
    const made = await this.#call<{ containerId: string }>(
      `CreateContainer ${podSandboxId} ${name} ${pid}`,
      (runtime, options, done) =>
        runtime.createContainer({ podSandboxId, config, sandboxConfig }, options, done),
    );
    if (made === undefined) return;
    this.#containers.add(made.containerId);
    if (this.#random.chance(0.8)) await this.#start(made.containerId);
  }

  async #start(containerId = this.#container()): Promise<void> {
    await this.#call(`StartContainer ${containerId}`, (runtime, options, done) =>
      runtime.startContainer({ containerId }, options, done),
    );
  }

  async #exec(): Promise<void> {
    const containerId = this.#container();
    const [cmd, timeout] = this.#random.pick(EXECUTED);
    await this.#call(`ExecSync ${containerId} ${cmd.join(' ')}`, (runtime, options, done) =>
      runtime.execSync({ containerId, cmd, timeout }, options, done),
    );
  }

  async #stop(): Promise<void> {
    const containerId = this.#container();
    const timeout = this.#random.below(2);
    await this.#call(`StopContainer ${containerId}`, (runtime, options, done) =>
      runtime.stopContainer({ containerId, timeout }, options, done),
    );
  }

  async #remove(): Promise<void> {
    const containerId = this.#container();
    const removed = await this.#call(`RemoveContainer ${containerId}`, (runtime, options, done) =>
      runtime.removeContainer({ containerId }, options, done),
    );
    if (removed !== undefined) this.#containers.delete(containerId);
  }

  async #look(): Promise<void> {
    const podSandboxId = this.#pod();
    const containerId = this.#container();
    const verbose = true;
    await Promise.all([
      this.#call('Status', (runtime, options, done) => runtime.status({ verbose }, options, done)),
      this.#call('ListPodSandbox', (runtime, options, done) => runtime.listPodSandbox({}, options, done)),
      this.#call('ListContainers', (runtime, options, done) => runtime.listContainers({}, options, done)),
      this.#call('ListContainerStats', (runtime, options, done) =>
        runtime.listContainerStats({}, options, done),
      ),
      this.#call(`PodSandboxStatus ${podSandboxId}`, (runtime, options, done) =>
        runtime.podSandboxStatus({ podSandboxId, verbose }, options, done),
      ),
      this.#call(`ContainerStatus ${containerId}`, (runtime, options, done) =>
        runtime.containerStatus({ containerId, verbose }, options, done),
      ),
    ]);
  }

  /** Two pods want the same host port; one in four is asked for in another way than before. */
  #podConfig(name: string): PodSandboxConfig {
    mkdirSync(join(this.#rig.logDirectory, name), { recursive: true });
    const port = { protocol: 'TCP', containerPort: 80, hostPort: 8080 } as const;
    return this.#rig.pod(name, {
      ...(this.#random.chance(0.25) ? { annotations: { variant: 'another' } } : {}),
      ...(['a', 'b'].includes(name) ? { portMappings: [port] } : {}),
    });
  }

  #pod(): string {
    return this.#recent([...this.#pods.keys()]);
  }

  #container(): string {
    return this.#recent([...this.#containers]);
  }

  #recent(ids: readonly string[]): string {
    return ids.length === 0 || this.#random.chance(0.03)
      ? 'feed'.repeat(16)
      : this.#random.pick(ids.slice(-RECENT));
  }

  #call<T>(what: string, start: Start<T>): Promise<T | undefined> {
    const withinMs = this.#random.chance(0.12) ? 1 + this.#random.below(150) : 30_000;
    const cancelMs = this.#random.chance(0.12) ? this.#random.below(120) : undefined;
    this.trace.push(what);
    return new Promise((resolve) => {
      const done: Done<T> = (error, answer) => {
        if (error !== null) this.#refused(what, error);
        resolve(answer);
      };
      const call = start(this.#rig.daemon.client.runtime, { deadline: Date.now() + withinMs }, done);
      if (cancelMs !== undefined) setTimeout(() => call.cancel(), cancelMs);
    });
  }

  #refused(what: string, { code, details }: ServiceError): void {
    const line = `${what}: ${status[code]} ${details}`;
    this.trace.push(line);
    if (!EXPECTED.includes(status[code]) || PROGRAMMING.test(details)) this.strange.push(line);
  }
}
