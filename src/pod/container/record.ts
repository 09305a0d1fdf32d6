import type { ContainerConfig__Output } from '../../gen/runtime/v1/ContainerConfig.ts';
import type { ContainerUser } from '../../gen/runtime/v1/ContainerUser.ts';
import type { LinuxContainerResources__Output } from '../../gen/runtime/v1/LinuxContainerResources.ts';
import type { Files } from '../../lib/atomic-file.ts';
import { RecordFiles, type Stored } from '../record-files.ts';

export interface RestoredFrom {
  /** The image, or the archive's path, as it was asked for. */
  readonly image: string;
  /** RFC 3339; '' when it does not say. */
  readonly checkpointedAt: string;
}

/** The intent. Times are nanoseconds since the epoch in decimal. */
export interface ContainerRecord {
  readonly version: 1;
  readonly id: string;
  readonly sandboxId: string;
  readonly reservedName: string;
  readonly createdAt: string;
  readonly bootId: string;
  readonly runtimeHandler: string;
  readonly config: ContainerConfig__Output;
  /** The image's id, `sha256:…`: the digest of its configuration. */
  readonly imageId: string;
  /** The image's first name that has a tag; '' when none has. */
  readonly imageTag?: string;
  /** By digest, as the image can be pulled again; the id when it has no such name. */
  readonly imageRef: string;
  /** What each image volume is, in the order of the mounts: by digest, or else by id. */
  readonly volumeImageRefs?: readonly string[];
  /** Absolute; '' when the container's output is not kept. */
  readonly logPath: string;
  /** Of one that is restored from a checkpoint; the image is the one that it was made from. */
  readonly restored?: RestoredFrom;
  /** By the CRI's precedence: asked for, the image's, SIGTERM. */
  readonly stopSignal: string;
}

/**
 * ```
 *            made              Start             the process ends
 * creating ───────▶ created ──────────▶ running ─────────────────▶ exited
 *    │                 │                   │                         ▲
 *    │ failed, undone: │ Start failed ─────┼─────────────────────────┤
 *    │ record removed  └───────────────────┴── lost with its task ───┘ (255, Unknown)
 *    └── failed and an undo failed too ──▶ unknown (kept, so that Remove can finish it)
 * ```
 */
export type ContainerPhase = 'creating' | 'created' | 'running' | 'exited' | 'unknown';

export interface ContainerState {
  readonly phase: ContainerPhase;
  /** 0 unless running. */
  readonly pid: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  /** CamelCase, for programs: Completed, Error, OOMKilled, StartError, Unknown. */
  readonly reason: string;
  readonly message: string;
  /** As its cgroup has them, or will have once it is started. */
  readonly resources: LinuxContainerResources__Output | null;
  /** What keeps its root file system, by the engine's name of it; '' until it is made. */
  readonly snapshotter: string;
  /** The path of the pid namespace that it was made to join; absent with one of its own. */
  readonly pidNamespace?: string | undefined;
  /** Whom its first process runs as, once known. */
  readonly user: ContainerUser | null;
}

export const newContainerState: ContainerState = {
  phase: 'creating',
  pid: 0,
  startedAt: '0',
  finishedAt: '0',
  exitCode: 0,
  reason: '',
  message: '',
  resources: null,
  snapshotter: '',
  user: null,
};

/** Its annotations as statuses and lists show them: with those that containerd and CRI-O give to what is restored. */
export function shownAnnotations({ config, restored }: ContainerRecord): Record<string, string> {
  if (restored === undefined) return config.annotations;
  const { image, checkpointedAt } = restored;
  return { ...config.annotations, restored: 'true', checkpointedAt, checkpointImage: image };
}

/** The reason of one that could not be started; containerd's word. */
export const START_ERROR = 'StartError';

/** Whether nobody has seen it run, so that its start, if there was one, may have been cut short anywhere. */
export function neverRan({ phase, reason }: ContainerState): boolean {
  return ['creating', 'created', 'unknown'].includes(phase) || reason === START_ERROR;
}

export type StoredContainer = Stored<ContainerRecord, ContainerState>;
export type ContainerFiles = RecordFiles<ContainerRecord, ContainerState>;

export function containerFiles(root: string, files: Files): ContainerFiles {
  return new RecordFiles(root, 'containers', files);
}
