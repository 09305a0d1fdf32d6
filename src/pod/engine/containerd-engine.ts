import { isRunc, requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import type { ContainerdConfig } from '../../config/schema.ts';
import type { Containerd } from '../../containerd/containerd.ts';
import type { EngineImages } from './images.ts';
import { hasLabel } from '../../containerd/filters.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import type { CallOptions } from '../../containerd/connection.ts';
import type { NewContainer } from '../../containerd/containers.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import type { Process, ProcessRef } from '../../containerd/tasks.ts';
import { runcOptionsAny, shimConfigAny } from '../../containerd/typeurl.ts';
import type { Mount } from '../../containerd/types.ts';
import { Unpacker } from '../../containerd/unpack.ts';
import { sleep } from '../../lib/deadline.ts';
import { codeOf, messageOf, wrap } from '../../lib/errors.ts';
import { Rollback } from '../../lib/rollback.ts';
import { nowNanos } from '../../lib/time.ts';
import { withMountLabel } from '../../oci/selinux.ts';
import type { LinuxResources, RuntimeSpec } from '../../oci/types.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type {
  CheckpointFiles,
  DeleteOptions,
  Engine,
  EngineEvent,
  EngineExec,
  EngineImage,
  EngineOptions,
  EngineProcess,
  EngineStart,
  EngineStreams,
  EngineTask,
  EngineTerminalSize,
  ImageOptions,
  MadeContainer,
  NewEngineContainer,
} from './engine.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { gone } from './gone.ts';
import { HandlerImages } from './handler-images.ts';
import { ImageResolver } from './image-resolver.ts';
import { endOrphanedShim } from './orphaned-shim.ts';
import { Remapper } from './remapper.ts';
import { Snapshotters } from './snapshotters.ts';
import { endStrayExecs } from './stray-execs.ts';
import type { RootFs } from './rootfs.ts';

/** What is made before the container object holds it; a Berth that dies in between leaves it no longer than this. */
const LEASE_MS = 10 * 60 * 1_000;
const SIGKILL = 9;
/** The label that says whose something is. */
const INSTANCE = 'io.berth.instance';
/** How long containerd may take to notice that a shim has left: 2.5 s in all. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 1_280;
/** containerd's shim puts containers with the same value into one process: a pod's containers share one. */
const SHIM_GROUP = 'io.containerd.runc.v2.group';
/** What containerd says when the pod's shim, its work done, went away as it was asked for something. */
const SHIM_IS_LEAVING = /dial unix \S*: connect: |ttrpc: closed/;

export interface ContainerdEngineOptions {
  readonly containerd: Containerd;
  readonly images: EngineImages;
  readonly rootfs: RootFs;
  readonly settings: ContainerdConfig;
  /** Where runc keeps its own state; '' for runc's default, which every containerd of the machine shares. */
  readonly runcRoot: string;
  /** Our instance's uuid: only containers that bear it are ours. */
  readonly instance: string;
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
  readonly #options: ContainerdEngineOptions;
  readonly #containerd: Containerd;
  readonly #unpacker: Unpacker;
  readonly #remapper: Remapper;
  readonly #images: ImageResolver;
  readonly #snapshotters: Snapshotters;
  /** The images, pulled for whatever runtime handler they are for. */
  readonly images: ImageService;
  /** Of the spec of a container: each exec begins with its process. */
  readonly #specs = new Map<string, KnownSpec>();

  constructor(options: ContainerdEngineOptions) {
    this.#options = options;
    this.#containerd = options.containerd;
    this.#images = new ImageResolver(options.containerd, options.images.service);
    this.#snapshotters = new Snapshotters(options.containerd, options.images, options.settings);
    this.#unpacker = new Unpacker(options.containerd, this.#mark);
    this.images = new HandlerImages({
      images: options.images,
      settings: options.settings,
      snapshotters: this.#snapshotters,
      unpack: async (reference, call) => {
        await (await this.image(reference, call)).chainId;
      },
    });
    this.#remapper = new Remapper(options.containerd.leases, options.rootfs);
  }

  get state(): Engine['state'] {
    const { state, address } = this.#containerd.connection;
    if (state.connected) return { ready: true, message: `containerd ${state.version} at ${address}` };
    return { ready: false, message: `containerd at ${address} does not answer: ${state.reason}` };
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
    const { id, image, runtimeHandler, idMappings, ready } = container;
    // It is looked at once the lease is there.
    ready?.catch(() => undefined);
    const { leases, containers } = this.#containerd;
    const snapshots = await this.#snapshotters.ofHandler(runtimeHandler, options);
    using lease = await leases.hold({ ttlMs: LEASE_MS, labels: this.#mark }, options);
    const call = { ...options, lease: lease.id };
    const rollback = new Rollback();
    await ready;
    this.#snapshotters.note(id, snapshots);
    try {
      rollback.add('snapshot', () => gone(snapshots.remove(id)));
      const parent = await this.#parent(snapshots, image, idMappings, call);
      const mounts = await snapshots.prepare({ key: id, parent, labels: this.#labels(container) }, call);
      const views: Mount[][] = [];
      for (const [i, view] of container.views.entries()) {
        rollback.add('view', () => gone(snapshots.remove(viewKey(id, i))));
        views.push(await this.#view(snapshots, { key: viewKey(id, i), view, idMappings }, call));
      }
      const { volumes } = container;
      const accounts = await this.#options.rootfs.inspect({ image: image.id, mounts, volumes, idMappings });
      const made = await container.spec({ accounts, views });
      const spec = { ...made, annotations: { ...made.annotations, [SHIM_GROUP]: container.sandboxId } };
      const keptViews = views.map((_, i) => [viewReference(snapshots.snapshotter, i), viewKey(id, i)]);
      await containers.create(
        {
          id,
          labels: {
            ...this.#labels(container),
            ...(Object.fromEntries(keptViews) as Record<string, string>),
          },
          image: image.name,
          runtime: this.#runtime(runtimeHandler, spec),
          spec,
          snapshotter: snapshots.snapshotter,
          snapshotKey: id,
        },
        call,
      );
      this.#specs.set(id, knownOf(spec));
      return { spec, snapshotter: snapshots.snapshotter };
    } catch (error) {
      const failures = await rollback.run();
      const left = failures.map((failure) => `${failure.name} is left: ${failure.message}`).join('; ');
      throw left === '' ? error : wrap(left, error);
    }
  }

  async start(id: string, { io, ready }: EngineStreams, options: EngineOptions = {}): Promise<EngineStart> {
    const { tasks } = this.#containerd;
    const [rootfs] = await Promise.all([this.#rootMounts(id, options), ready]);
    const create = (): Promise<number> => tasks.create({ containerId: id, rootfs, io }, options);
    const again = (error: unknown): Promise<number> => {
      if (!SHIM_IS_LEAVING.test(messageOf(error))) throw error;
      return create();
    };
    await create().catch(again);
    try {
      const at = nowNanos();
      return { pid: await tasks.start({ containerId: id }, options), at };
    } catch (error) {
      await this.endTask(id);
      throw error;
    }
  }

  async kill(id: string, signal: number, options: EngineOptions & { all?: boolean } = {}): Promise<void> {
    await ofTask(() => this.#containerd.tasks.kill({ containerId: id }, signal, options));
  }

  async exec(id: string, execId: string, { spec, io, ready }: EngineProcess): Promise<EngineExec> {
    const { tasks } = this.#containerd;
    const ref = { containerId: id, execId };
    // Without a signal: of a call that was given up nobody knows what it has made or started.
    await tasks.exec(ref, { spec, io });
    await ready;
    const ended = tasks.wait(ref);
    ended.catch(() => undefined);
    await tasks.start(ref);
    return {
      ended: ended.then(({ exitStatus, exitedAt }) => ({ exitCode: exitStatus, at: exitedAt })),
      resize: (size) => gone(tasks.resize(ref, size)).then(() => undefined),
      closeStdin: () => gone(tasks.closeStdin(ref)).then(() => undefined),
    };
  }

  async endExec(id: string, execId: string, { lostAt }: { lostAt?: number | undefined } = {}): Promise<void> {
    const wasStarted = await this.#killExec({ containerId: id, execId });
    if (!wasStarted && lostAt !== undefined) await gone(endStrayExecs(this.#containerd, id, lostAt));
  }

  async resize(id: string, size: EngineTerminalSize): Promise<void> {
    await gone(this.#containerd.tasks.resize({ containerId: id }, size));
  }

  async closeStdin(id: string): Promise<void> {
    await gone(this.#containerd.tasks.closeStdin({ containerId: id }));
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
    const ended = ofTask(() => tasks.wait({ containerId: id }));
    // It fails with the call after it when the engine goes away: that one is the error.
    ended.catch(() => undefined);
    await ofTask(() => tasks.kill({ containerId: id }, SIGKILL, { all: true }));
    await ended;
    await this.deleteTask(id);
  }

  async delete(id: string, options: DeleteOptions = {}): Promise<void> {
    const { views = 0, neverRan = false, ...call } = options;
    this.#specs.delete(id);
    await this.endTask(id);
    if (neverRan) await endOrphanedShim(this.#containerd.connection.address, id);
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

  async resume(id: string, options: EngineOptions = {}): Promise<void> {
    const { tasks } = this.#containerd;
    const task = await gone(tasks.get({ containerId: id }, options));
    if (task?.status === 'PAUSED') await gone(tasks.resume(id, options));
  }

  async written(id: string, options: EngineOptions = {}): Promise<{ bytes: number; inodes: number }> {
    return (await this.#snapshotters.ofContainer(id, options)).usage(id, options);
  }

  snapshotDirectory(snapshotter: string, options: EngineOptions = {}): Promise<string> {
    return this.#snapshotters.directory(snapshotter, options);
  }

  async tasks(options: EngineOptions = {}): Promise<EngineTask[]> {
    return (await this.#containerd.tasks.list(options)).map(toTask);
  }

  async owned(options: EngineOptions = {}): Promise<string[]> {
    // A container has a snapshot of its id from before it is made until it is gone. Their list, unlike that of containers, does not
    // come in one message.
    const mine = [hasLabel(INSTANCE, this.#options.instance)];
    const names: string[] = [];
    for (const snapshots of await this.#snapshotters.all(options))
      for (const { kind, name } of await snapshots.list(mine, options))
        if (kind === 'ACTIVE') names.push(name);
    return names;
  }

  async releaseFormer(options: EngineOptions = {}): Promise<void> {
    const { leases } = this.#containerd;
    for (const { id } of await leases.former([hasLabel(INSTANCE, this.#options.instance)], options))
      await gone(leases.delete(id, options));
  }

  async *events(signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    for await (const notice of this.#containerd.events.subscribe({ signal })) {
      if (notice.kind === 'subscribed') {
        yield notice;
        continue;
      }
      const { event } = notice;
      if (event.kind === 'oom') yield { kind: 'oom', id: event.containerId };
      if (event.kind === 'exit' && event.execId === '') {
        yield {
          kind: 'exit',
          id: event.containerId,
          exit: { exitCode: event.exitStatus, at: event.exitedAt },
        };
      }
    }
  }

  /** The snapshot below a container's: the image's own, or its copy for a user namespace. */
  async #parent(
    snapshots: Snapshots,
    image: EngineImage,
    idMappings: IdMappings | undefined,
    call: LeasedCall,
  ): Promise<string> {
    const chainId = await image.chainId;
    return idMappings === undefined ? chainId : this.#remapper.remapped(snapshots, chainId, idMappings, call);
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

  async #view(
    snapshots: Snapshots,
    { key, view, idMappings }: { key: string; view: EngineImage; idMappings: IdMappings | undefined },
    call: LeasedCall,
  ): Promise<Mount[]> {
    return snapshots.view({ key, parent: await this.#parent(snapshots, view, idMappings, call) }, call);
  }

  /** Kills and forgets it; whether its shim knows that it was started. */
  async #killExec(ref: Required<ProcessRef>): Promise<boolean> {
    const { tasks } = this.#containerd;
    const forget = async (): Promise<boolean> => {
      const forgotten = await ofTask(() => tasks.delete(ref));
      return forgotten !== undefined && forgotten.pid !== 0;
    };
    try {
      return await forget();
    } catch (error) {
      // A shim forgets what has ended or has not started, and refuses what runs, with a code of its choice.
      if (codeOf(error) === 'UNAVAILABLE') throw error;
    }
    const ended = ofTask(() => tasks.wait(ref));
    ended.catch(() => undefined);
    await ofTask(() => tasks.kill(ref, SIGKILL));
    await ended;
    return await forget();
  }

  #labels({ labels, sandboxId }: NewEngineContainer): Record<string, string> {
    return { ...labels, ...this.#mark, 'io.berth.sandbox': sandboxId };
  }

  get #mark(): Record<string, string> {
    return { [INSTANCE]: this.#options.instance };
  }

  #runtime(handler: string, spec: RuntimeSpec): NewContainer['runtime'] {
    const { settings, containerd, runcRoot } = this.#options;
    const { type, configPath, binary } = requireRuntimeHandler(settings, handler);
    const { api } = containerd.connection;
    // Other shims refuse options that are not theirs.
    if (!isRunc(type))
      return configPath === '' ? { type } : { type, options: shimConfigAny(api, type, configPath) };
    // A slice is systemd's to make; the parent that kubelet sent decides, whatever driver is configured.
    const systemdCgroup = spec.linux.cgroupsPath.includes('.slice:');
    const [uids, gids] = [spec.linux.uidMappings?.[0], spec.linux.gidMappings?.[0]];
    const options = {
      binaryName: binary,
      systemdCgroup,
      root: runcRoot,
      // Whose the pipes of its outputs are: to open /dev/stdout takes an owner that its user namespace knows.
      ...(uids === undefined || gids === undefined ? {} : { ioUid: uids.hostID, ioGid: gids.hostID }),
    };
    return { type, options: runcOptionsAny(api, options) };
  }
}

type LeasedCall = CallOptions & { readonly lease: string };

/** The snapshot of a container's view. */
function viewKey(id: string, index: number): string {
  return `${id}-view-${index}`;
}

/** The label by which a container holds a view against the garbage collector. */
function viewReference(snapshotter: string, index: number): string {
  return `containerd.io/gc.ref.snapshot.${snapshotter}/view-${index}`;
}

/**
 * As gone(), for what is asked of a task. One whose shim is just leaving, with the pod's last task, containerd still knows and cannot
 * reach: it is asked again until containerd has noticed.
 */
async function ofTask<T>(ask: () => Promise<T>): Promise<T | undefined> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    try {
      return await gone(ask());
    } catch (error) {
      if (!SHIM_IS_LEAVING.test(messageOf(error)) || pauseMs > LAST_PAUSE_MS) throw error;
      await sleep(pauseMs);
    }
  }
}

const STATUSES = {
  UNKNOWN: 'unknown',
  CREATED: 'created',
  RUNNING: 'running',
  STOPPED: 'ended',
  PAUSED: 'paused',
  PAUSING: 'paused',
} as const;

function toTask({ containerId, pid, status, exitStatus, exitedAt }: Process): EngineTask {
  return {
    id: containerId,
    pid,
    status: STATUSES[status],
    exit: status === 'STOPPED' ? { exitCode: exitStatus, at: exitedAt } : undefined,
  };
}
