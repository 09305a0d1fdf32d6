import type { LinuxResources, RuntimeSpec } from '../../oci/types.ts';
import type { Accounts } from '../../oci/accounts.ts';
import type { ImageConfig } from '../../oci/image-config.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { FilesystemMount } from '../../kernel/mount-filesystem.ts';
import type { Reading } from '../stats/reading.ts';
import type { EngineVolume } from './volume-content.ts';

/** An image as containers need it. */
export interface EngineImage {
  /** `sha256:…` of its configuration: the id that the CRI shows. */
  readonly id: string;
  /** The first of its names that has a tag; '' when none has. */
  readonly tag: string;
  /** By digest, as it can be pulled again; the id when it has no such name. */
  readonly reference: string;
  /** The engine's own name of it. */
  readonly name: string;
  /** The snapshot of its uppermost layer, once all of them are unpacked. */
  readonly chainId: Promise<string>;
  readonly config: ImageConfig;
  /** The name of the container that the image is a checkpoint of; absent for an image like any other. */
  readonly checkpointOf?: string | undefined;
}

export interface NewEngineContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly runtimeHandler: string;
  readonly image: EngineImage;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the pod's user namespace: the root file system is made to belong to its ids. */
  readonly idMappings: IdMappings | undefined;
  /** Filled with what the image has at their paths. */
  readonly volumes: readonly EngineVolume[];
  /** Tar archives on this node, laid over the image as layers, in their order; none when absent. */
  readonly layers?: readonly string[];
  /** Images whose files the container sees, read-only: the engine keeps them for as long as it lives. */
  readonly views: readonly EngineImage[];
  /** Makes the spec, once the root file system and the views are there. */
  readonly spec: (made: MadeRootFs) => Promise<RuntimeSpec>;
  /** Nothing that bears its id is made before this has resolved. */
  readonly ready?: Promise<unknown>;
}

export interface MadeRootFs {
  readonly accounts: Accounts;
  /** How to mount each view. */
  readonly views: readonly (readonly FilesystemMount[])[];
}

export interface MadeContainer {
  /** As the engine has it. */
  readonly spec: RuntimeSpec;
  /** What keeps its root file system. */
  readonly snapshotter: string;
}

/** Paths of FIFOs; '' for none. */
export interface EngineIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** What a process writes to and reads from. */
export interface EngineStreams {
  readonly io: EngineIo;
  /** It is prepared at once, and starts when this has resolved. */
  readonly ready?: Promise<unknown>;
}

/** A container's own process. */
export interface EngineFirstProcess extends EngineStreams {
  /** Of the pod, '' for the default one. */
  readonly runtimeHandler: string;
}

/** A process to be executed in a container. */
export interface EngineProcess extends EngineStreams {
  readonly spec: RuntimeSpec['process'];
}

export interface EngineTerminalSize {
  readonly width: number;
  readonly height: number;
}

/** One that runs. */
export interface EngineExec {
  readonly ended: Promise<EngineExit>;
  /** Of its terminal, in characters. */
  resize(size: EngineTerminalSize): Promise<void>;
  /** Closes the engine's own write end of its stdin, so that it can have an end. */
  closeStdin(): Promise<void>;
}

/** Where the parts of a checkpoint go; the directories exist. */
export interface CheckpointFiles {
  /** For the images of CRIU. */
  readonly images: string;
  /** For its log and statistics. */
  readonly work: string;
  /** A tar archive of what was written to the root file system, as a layer. */
  readonly rootfsDiff: string;
}

/** A checkpoint to restore. */
export type CheckpointToRestore = Omit<CheckpointFiles, 'rootfsDiff'>;

/** How a process began. */
export interface EngineStart {
  readonly pid: number;
  /** Nanoseconds since the epoch; never later than its first instruction, so that no process ends before it began. */
  readonly at: bigint;
}

/** How a process ended. */
export interface EngineExit {
  /** 128 + signal when a signal ended it. */
  readonly exitCode: number;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
}

export interface EngineTask {
  readonly id: string;
  /** Of its first process. */
  readonly pid: number;
  /** `unknown` when what watches over it does not answer: it may run, or have ended. */
  readonly status: 'created' | 'running' | 'paused' | 'ended' | 'unknown';
  /** Of one that has ended. */
  readonly exit: EngineExit | undefined;
}

export type EngineEvent =
  /** Events before this may have been missed: the time to compare all tasks with our records. */
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'exit'; readonly id: string; readonly exit: EngineExit }
  | { readonly kind: 'oom'; readonly id: string };

export interface EngineOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ImageOptions extends EngineOptions {
  /** Of the pod that it is for, '' for the default one: the image is unpacked where that handler's containers are made. */
  readonly runtimeHandler: string;
}

export interface StartOptions extends EngineOptions {
  readonly checkpoint?: CheckpointToRestore | undefined;
}

export interface DeleteOptions extends EngineOptions {
  /** How many views were made for it; none by default. */
  readonly views?: number;
  /** Nobody has seen it run. If its start was cut short there may be a shim that the engine itself does not know of. */
  readonly neverRan?: boolean;
}

/** What a container uses as its shim tells it; absent is what it does not tell. */
export type EngineUsage = Pick<Reading, 'at' | 'cpu' | 'memory' | 'processes'>;

/**
 * What runs containers. An id names one container of ours; an absent one is success wherever something is ended or
 * deleted. Throws UNAVAILABLE while the engine is away.
 */
export interface Engine {
  /** Whether it answers, and can run containers, from memory. */
  readonly state: { readonly ready: boolean; readonly message: string };
  /** The image that an id or a reference names; it is unpacked meanwhile. Throws NOT_FOUND. */
  image(reference: string, options: ImageOptions): Promise<EngineImage>;
  /** As image(), and pulls it when it is absent: for an image that nobody else pulls. Throws what the registry answers. */
  pulledImage(reference: string, options: ImageOptions): Promise<EngineImage>;
  /** Makes root file system and container; nothing runs yet. */
  create(container: NewEngineContainer, options?: EngineOptions): Promise<MadeContainer>;
  /** Runs its first process, or has CRIU restore its processes from a checkpoint. On failure no task is left. */
  start(id: string, process: EngineFirstProcess, options?: StartOptions): Promise<EngineStart>;
  kill(id: string, signal: number, options?: EngineOptions & { readonly all?: boolean }): Promise<void>;
  /** Starts another process in a running container. Also when this fails it may run, and endExec() has to be called. */
  exec(id: string, execId: string, process: EngineProcess): Promise<EngineExec>;
  /**
   * Kills such a process if it runs, waits for its end, and forgets it. With `lostAt`, in clock ticks since boot, who had it started
   * was lost by then, maybe in the middle of that, and the engine may not know itself what it has started.
   */
  endExec(id: string, execId: string, options?: { readonly lostAt?: number | undefined }): Promise<void>;
  /** As an EngineExec's, of the container's own first process. */
  resize(id: string, size: EngineTerminalSize): Promise<void>;
  closeStdin(id: string): Promise<void>;
  /** The container's own first process, as its spec has it: what an exec takes over. Throws NOT_FOUND. */
  process(id: string, options?: EngineOptions): Promise<RuntimeSpec['process']>;
  /** Replaces the spec, which the next task is made from. Throws NOT_FOUND. */
  updateSpec(id: string, spec: RuntimeSpec, options?: EngineOptions): Promise<void>;
  /** Changes limits while it runs. */
  update(id: string, resources: LinuxResources, options?: EngineOptions): Promise<void>;
  /** Forgets a task that has ended. */
  deleteTask(id: string, options?: EngineOptions): Promise<void>;
  /** Kills what runs, waits for its end, and forgets the task; the container stays. */
  endTask(id: string): Promise<void>;
  /** Kills what runs, then deletes task, container, root file system and views. */
  delete(id: string, options?: DeleteOptions): Promise<void>;
  /**
   * Writes a checkpoint of a running container: its processes by CRIU, and what it has written to its root file system. It stands
   * still meanwhile, and goes on afterwards, also on failure. CRIU cannot be cut off: when the signal aborts, it is waited for.
   */
  checkpoint(id: string, files: CheckpointFiles, options?: EngineOptions): Promise<void>;
  /** Writes the archive that is the one layer of a checkpoint's image to a file. Throws FAILED_PRECONDITION when it has others, or is not kept. */
  checkpointArchive(image: EngineImage, file: string, options?: EngineOptions): Promise<void>;
  /** Lets a container go on that stands still; any other is left alone. */
  resume(id: string, options?: EngineOptions): Promise<void>;
  /** What these containers use, by id, as far as their shims tell: for what the host's cgroups do not show. */
  usage(ids: readonly string[], options?: EngineOptions): Promise<Map<string, EngineUsage>>;
  /** What the container has written to its root file system. Throws NOT_FOUND. */
  written(id: string, options?: EngineOptions): Promise<{ bytes: number; inodes: number }>;
  /** The directory below which a snapshotter keeps root file systems; '' when it is not known. */
  snapshotDirectory(snapshotter: string, options?: EngineOptions): Promise<string>;
  /** Those that have ended while the engine was away, too, also such as it has forgotten. */
  tasks(options?: EngineOptions): Promise<EngineTask[]>;
  /** What tasks() told is recorded: the ends of those that the engine has forgotten need not be kept any longer. */
  compared(): void;
  /** The ids of all containers, whole or half made, that bear the mark of our instance. */
  owned(options?: EngineOptions): Promise<string[]>;
  /** Lets go of what a former process of our instance held for a while when it ended. */
  releaseFormer(options?: EngineOptions): Promise<void>;
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
}
