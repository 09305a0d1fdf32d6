import { runtimeHandlerOf } from '../../config/runtime-handlers.ts';
import type { Containerd } from '../../containerd/containerd.ts';
import { fieldIs, hasLabel } from '../../containerd/filters.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import type { ShimWatch } from '../../containerd/shim-watch.ts';
import type { Shims } from '../../containerd/shims.ts';
import type { Processes } from '../../containerd/tasks.ts';
import type { Mount } from '../../containerd/types.ts';
import { Unpacker } from '../../containerd/unpack.ts';
import type { ThreadPool } from '../../kernel/threads/pool.ts';
import { codeOf } from '../../lib/errors.ts';
import { nowNanos } from '../../lib/time.ts';
import { withMountLabel } from '../../oci/selinux.ts';
import type { LinuxResources, RuntimeSpec } from '../../oci/types.ts';
import { restoreOptions, writeArchive, writeCheckpoint } from './checkpoint.ts';
import { createContainer, type CreationParts, viewKey } from './creation.ts';
import type {
  CheckpointFiles,
  DeleteOptions,
  Engine,
  EngineEvent,
  EngineExec,
  EngineFirstProcess,
  EngineImage,
  EngineOptions,
  EngineProcess,
  EngineStart,
  EngineTask,
  EngineTerminalSize,
  EngineUsage,
  ImageOptions,
  MadeContainer,
  NewEngineContainer,
  StartOptions,
} from './engine.ts';
import { gone } from './gone.ts';
import { HandlerImages } from './handler-images.ts';
import { ImageResolver } from './image-resolver.ts';
import type { EngineImages } from './images.ts';
import { endOrphanedShim } from './orphaned-shim.ts';
import { Remapper } from './remapper.ts';
import { Snapshotters } from './snapshotters.ts';
import { endStrayExecs } from './stray-execs.ts';
import { endedTask, endExecuted, isShimLeaving, killAndWait, ofTask, toTask } from './task.ts';
import { usageOf } from './task-usage.ts';

/** The label that says whose something is. */
const INSTANCE = 'io.berth.instance';
/** How long shims may take to tell usage: containerd asks one after the other. */
const USAGE_MS = 5_000;

export interface ContainerdEngineOptions extends Omit<CreationParts, 'snapshotters' | 'remapper' | 'mark'> {
  readonly images: EngineImages;
  readonly shims: Shims;
  readonly shimWatch: ShimWatch;
  /** Must load shimJobsModule. */
  readonly threads: Pick<ThreadPool, 'call'>;
  /** Our instance's uuid: only containers that bear it are ours. */
  readonly instance: string;
  /** Why Berth could not start its own containerd, while that is so. */
  readonly failure?: () => string | undefined;
}

interface KnownSpec {
  readonly process: RuntimeSpec['process'];
  readonly mountLabel: string | undefined;
}

function knownOf({ process, linux }: RuntimeSpec): KnownSpec {
  return { process, mountLabel: linux.mountLabel };
}

/** containerd as the engine, through its native API in the namespace `k8s.io`. */
export class ContainerdEngine implements Engine {
  readonly #instance: string;
  readonly #failure: () => string | undefined;
  readonly #containerd: Containerd;
  readonly #shimWatch: ShimWatch;
  readonly #threads: Pick<ThreadPool, 'call'>;
  readonly #shims: Shims;
  readonly #unpacker: Unpacker;
  readonly #images: ImageResolver;
  readonly #served: EngineImages;
  readonly #snapshotters: Snapshotters;
  readonly #creation: CreationParts;
  /** The images, pulled for whatever runtime handler they are for. */
  readonly images: ImageService;
  /** Of the spec of a container: each exec begins with its process. */
  readonly #specs = new Map<string, KnownSpec>();

  constructor(options: ContainerdEngineOptions) {
    const mark = { [INSTANCE]: options.instance };
    this.#instance = options.instance;
    this.#failure = options.failure ?? (() => undefined);
    this.#containerd = options.containerd;
    this.#shims = options.shims;
    this.#shimWatch = options.shimWatch;
    this.#served = options.images;
    this.#threads = options.threads;
    this.#images = new ImageResolver(options.containerd, options.images.service);
    this.#snapshotters = new Snapshotters(options.containerd, options.images, options.settings);
    this.#unpacker = new Unpacker(options.containerd, mark);
    this.images = new HandlerImages({
      images: options.images,
      settings: options.settings,
      snapshotters: this.#snapshotters,
      unpack: async (reference, call) => {
        await (await this.image(reference, call)).chainId;
      },
    });
    const remapper = new Remapper(options.containerd.leases, options.rootfs);
    this.#creation = { ...options, snapshotters: this.#snapshotters, remapper, mark };
  }

  get state(): Engine['state'] {
    const { state, address } = this.#containerd.connection;
    if (!state.connected) {
      const reason = this.#failure() ?? state.reason;
      return { ready: false, message: `containerd at ${address} does not answer: ${reason}` };
    }
    const { problem } = this.#served;
    if (problem !== '') return { ready: false, message: problem };
    return { ready: true, message: `containerd ${state.version} at ${address}` };
  }

  async image(reference: string, { runtimeHandler, ...options }: ImageOptions): Promise<EngineImage> {
    const { snapshotter } = await this.#snapshotters.ofHandler(runtimeHandler, options);
    const { image, name, documents } = await this.#images.resolve(reference, options);
    const chainId = this.#unpacker.unpack(documents, snapshotter, options);
    // It is looked at when a container is made of it.
    chainId.catch(() => undefined);
    return {
      id: image.id,
      tag: image.repoTags[0] ?? '',
      reference: image.repoDigests[0] ?? image.id,
      name,
      chainId,
      config: documents.config,
      checkpointOf: documents.checkpointOf,
    };
  }

  async pulledImage(reference: string, options: ImageOptions): Promise<EngineImage> {
    try {
      return await this.image(reference, options);
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error;
    }
    const { runtimeHandler, ...call } = options;
    await this.images.pullImage({ image: { image: reference, runtimeHandler } }, call);
    return this.image(reference, options);
  }

  async create(container: NewEngineContainer, options: EngineOptions = {}): Promise<MadeContainer> {
    const made = await createContainer(this.#creation, container, options);
    this.#specs.set(container.id, knownOf(made.spec));
    return made;
  }

  async start(
    id: string,
    { io, ready, runtimeHandler }: EngineFirstProcess,
    { checkpoint, ...options }: StartOptions = {},
  ): Promise<EngineStart> {
    const { tasks } = this.#containerd;
    const restoring = checkpoint && {
      options: await restoreOptions(this.#containerd, id, checkpoint, options),
    };
    const [rootfs] = await Promise.all([this.#rootMounts(id, options), ready]);
    const runtimePath = runtimeHandlerOf(this.#creation.settings, runtimeHandler)?.path ?? '';
    const request = { containerId: id, rootfs, io, runtimePath, ...restoring };
    const create = (): Promise<number> => tasks.create(request, options);
    const again = (error: unknown): Promise<number> => {
      if (!isShimLeaving(error)) throw error;
      return create();
    };
    await create().catch(again);
    try {
      const at = nowNanos();
      // CRIU takes the longer the more memory there is.
      const pid = await tasks.start(
        { containerId: id },
        restoring ? { ...options, timeoutMs: Infinity } : options,
      );
      this.#shims.learn(id, pid);
      return { pid, at };
    } catch (error) {
      await this.endTask(id);
      throw error;
    }
  }

  async kill(id: string, signal: number, options: EngineOptions & { all?: boolean } = {}): Promise<void> {
    await ofTask(() => this.#containerd.tasks.kill({ containerId: id }, signal, options));
  }

  async exec(id: string, execId: string, { spec, io, ready }: EngineProcess): Promise<EngineExec> {
    const ref = { containerId: id, execId };
    const processes = (await this.#shims.of(id)) ?? this.#containerd.tasks;
    // Without a signal: of a call that was given up nobody knows what it has made or started.
    await processes.exec(ref, { spec, io });
    await ready;
    const ended = processes.wait(ref);
    ended.catch(() => undefined);
    await processes.start(ref);
    return {
      ended: ended.then(({ exitStatus, exitedAt }) => ({ exitCode: exitStatus, at: exitedAt })),
      resize: (size) => gone(processes.resize(ref, size)).then(() => undefined),
      closeStdin: () => gone(processes.closeStdin(ref)).then(() => undefined),
    };
  }

  async endExec(id: string, execId: string, { lostAt }: { lostAt?: number | undefined } = {}): Promise<void> {
    const ref = { containerId: id, execId };
    const wasStarted = await this.#ofShim(id, (processes) => endExecuted(processes, ref));
    if (!wasStarted && lostAt !== undefined) await gone(endStrayExecs(this.#containerd, id, lostAt));
  }

  async resize(id: string, size: EngineTerminalSize): Promise<void> {
    await this.#ofShim(id, (processes) => gone(processes.resize({ containerId: id }, size)));
  }

  async closeStdin(id: string): Promise<void> {
    await this.#ofShim(id, (processes) => gone(processes.closeStdin({ containerId: id })));
  }

  async process(id: string, options: EngineOptions = {}): Promise<RuntimeSpec['process']> {
    return (await this.#spec(id, options)).process;
  }

  async updateSpec(id: string, spec: RuntimeSpec, options: EngineOptions = {}): Promise<void> {
    await this.#containerd.containers.updateSpec(id, spec, options);
  }

  async update(id: string, resources: LinuxResources, options: EngineOptions = {}): Promise<void> {
    await gone(this.#containerd.tasks.update(id, resources, options));
  }

  async deleteTask(id: string, options: EngineOptions = {}): Promise<void> {
    await ofTask(() => this.#containerd.tasks.delete({ containerId: id }, options));
  }

  async endTask(id: string): Promise<void> {
    const { tasks } = this.#containerd;
    const isIdle = async (): Promise<boolean> => (await gone(tasks.get({ containerId: id })))?.pid === 0;
    await killAndWait(tasks, { containerId: id }, { all: true, isIdle });
    await this.deleteTask(id);
  }

  async delete(id: string, options: DeleteOptions = {}): Promise<void> {
    const { views = 0, neverRan = false, ...call } = options;
    this.#specs.delete(id);
    await this.endTask(id);
    const { address } = this.#containerd.connection;
    if (neverRan) await endOrphanedShim(this.#threads, { address, id });
    const holding = await this.#snapshotters.holding(id, call);
    await gone(this.#containerd.containers.delete(id, call));
    for (const snapshots of holding) {
      await gone(snapshots.remove(id, call));
      for (let i = 0; i < views; i += 1) await gone(snapshots.remove(viewKey(id, i), call));
    }
    this.#snapshotters.forget(id);
  }

  async checkpoint(id: string, files: CheckpointFiles, options: EngineOptions = {}): Promise<void> {
    const snapshots = await this.#snapshotters.ofContainer(id, options);
    await writeCheckpoint(this.#containerd, snapshots, id, { files, ...options });
  }

  async checkpointArchive(image: EngineImage, file: string, options: EngineOptions = {}): Promise<void> {
    const { documents } = await this.#images.resolve(image.id, options);
    await writeArchive(this.#containerd, documents, file, options);
  }

  async resume(id: string, options: EngineOptions = {}): Promise<void> {
    const { tasks } = this.#containerd;
    const task = await gone(tasks.get({ containerId: id }, options));
    if (task?.status === 'PAUSED') await gone(tasks.resume(id, options));
  }

  async usage(ids: readonly string[], options: EngineOptions = {}): Promise<Map<string, EngineUsage>> {
    const { tasks, connection } = this.#containerd;
    const filters = ids.map((id) => fieldIs('id', id));
    const metrics = await tasks.metrics(filters, { timeoutMs: USAGE_MS, ...options });
    const usages = metrics.map((metric) => [metric.containerId, usageOf(connection.api, metric)] as const);
    return new Map(usages.flatMap(([id, usage]) => (usage === undefined ? [] : [[id, usage]])));
  }

  async written(id: string, options: EngineOptions = {}): Promise<{ bytes: number; inodes: number }> {
    return (await this.#snapshotters.ofContainer(id, options)).usage(id, options);
  }

  snapshotDirectory(snapshotter: string, options: EngineOptions = {}): Promise<string> {
    return this.#snapshotters.directory(snapshotter, options);
  }

  async tasks(options: EngineOptions = {}): Promise<EngineTask[]> {
    const tasks = (await this.#containerd.tasks.list(options)).map(toTask);
    tasks.some(({ id, pid }) => this.#shims.learn(id, pid));
    const known = new Set(tasks.map(({ id }) => id));
    const forgotten = [...this.#shimWatch.ends].filter(([id]) => !known.has(id));
    return [...tasks, ...forgotten.map(([id, end]) => endedTask(id, end))];
  }

  compared(): void {
    this.#shimWatch.end();
  }

  async owned(options: EngineOptions = {}): Promise<string[]> {
    // A container has a snapshot of its id from before it is made until it is gone. Their list, unlike that of containers, does not
    // come in one message.
    const mine = [hasLabel(INSTANCE, this.#instance)];
    const names: string[] = [];
    for (const snapshots of await this.#snapshotters.all(options))
      for (const { kind, name } of await snapshots.list(mine, options))
        if (kind === 'ACTIVE') names.push(name);
    return names;
  }

  async releaseFormer(options: EngineOptions = {}): Promise<void> {
    const { leases } = this.#containerd;
    for (const { id } of await leases.former([hasLabel(INSTANCE, this.#instance)], options))
      await gone(leases.delete(id, options));
  }

  async *events(signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    for await (const notice of this.#containerd.events.subscribe({ signal })) {
      if (notice.kind === 'lost') {
        if (!signal.aborted) await this.#shimWatch.begin();
        continue;
      }
      if (notice.kind === 'subscribed') {
        yield notice;
        continue;
      }
      const { event } = notice;
      if (event.kind === 'oom') yield { kind: 'oom', id: event.containerId };
      if (event.kind === 'exit') {
        yield {
          kind: 'exit',
          id: event.containerId,
          exit: { exitCode: event.exitStatus, at: event.exitedAt },
        };
      }
    }
  }

  /** What the shim cannot be asked, or goes away over, containerd is asked. */
  async #ofShim<T>(id: string, ask: (processes: Processes) => Promise<T>): Promise<T> {
    const shim = await this.#shims.of(id);
    try {
      if (shim !== undefined) return await ask(shim);
    } catch (error) {
      if (shim?.isClosed === false) throw error;
    }
    return ask(this.#containerd.tasks);
  }

  async #rootMounts(id: string, options: EngineOptions): Promise<Mount[]> {
    const snapshots = await this.#snapshotters.ofContainer(id, options);
    const [mounts, { mountLabel }] = await Promise.all([
      snapshots.mounts(id, options),
      this.#spec(id, options),
    ]);
    return withMountLabel(mounts, mountLabel);
  }

  async #spec(id: string, options: EngineOptions): Promise<KnownSpec> {
    const known = this.#specs.get(id);
    if (known !== undefined) return known;
    const { spec } = await this.#containerd.containers.get(id, options);
    const read = knownOf(spec as unknown as RuntimeSpec);
    this.#specs.set(id, read);
    return read;
  }
}
