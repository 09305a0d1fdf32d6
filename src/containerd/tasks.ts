import type { Process__Output } from '../gen/containerd/v1/types/Process.ts';
import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import {
  type Any,
  type CheckpointOptions,
  checkpointOptionsAny,
  fromMessageAny,
  runtimeSpecAny,
} from './typeurl.ts';
import { type Descriptor, fromDescriptor, fromMounts, type Mount, toDescriptor } from './types.ts';

/** A container's own first process, or with an exec id one that was executed in it. */
export interface ProcessRef {
  readonly containerId: string;
  readonly execId?: string;
}

/** Paths of FIFOs; '' for none. A terminal has no stderr. */
export interface ProcessIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

export type TaskStatus = 'UNKNOWN' | 'CREATED' | 'RUNNING' | 'STOPPED' | 'PAUSED' | 'PAUSING';

export interface Process {
  readonly containerId: string;
  /** '' for the container's own first process. */
  readonly execId: string;
  readonly pid: number;
  readonly status: TaskStatus;
  readonly io: ProcessIo;
  /** Of a process that has ended: 128 + signal when a signal ended it. */
  readonly exitStatus: number;
  /** Nanoseconds since the epoch; 0 while it runs. */
  readonly exitedAt: bigint;
}

export interface Exit {
  readonly exitStatus: number;
  /** Nanoseconds since the epoch. */
  readonly exitedAt: bigint;
}

export interface NewTask {
  readonly containerId: string;
  readonly rootfs: readonly Mount[];
  readonly io: ProcessIo;
  /** For the shim, instead of the container's own runtime options. */
  readonly options?: Any;
  /** The shim's executable, instead of the one that the container's runtime type names. */
  readonly runtimePath?: string;
  /** A checkpoint to restore. */
  readonly checkpoint?: Descriptor;
}

/** A process to be executed in a container. */
export interface NewProcess {
  /** The process of an OCI runtime specification. */
  readonly spec: object;
  readonly io: ProcessIo;
}

/** What can be asked of the processes of a container, of containerd or of its shim. */
export type Processes = Pick<Tasks, 'exec' | 'start' | 'wait' | 'kill' | 'delete' | 'resize' | 'closeStdin'>;

/** Usage of a task as its shim tells it. */
export interface TaskMetric {
  readonly containerId: string;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
  /** io.containerd.cgroups.v1.Metrics or io.containerd.cgroups.v2.Metrics, encoded. */
  readonly data: Any | undefined;
}

/** Running containers and what is executed in them. */
export class Tasks {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.tasks.v1.Tasks.service;
  }

  /** Has the OCI runtime create the container; its first process waits for start(). Returns its pid. */
  async create(task: NewTask, options?: CallOptions): Promise<number> {
    const request = {
      containerId: task.containerId,
      rootfs: fromMounts(task.rootfs),
      ...task.io,
      options: task.options ?? null,
      runtimePath: task.runtimePath ?? '',
      checkpoint: task.checkpoint === undefined ? null : fromDescriptor(task.checkpoint),
    };
    const { pid } = await this.#connection.unary(this.#rpc.Create, request, options);
    return pid;
  }

  /** Starts what create() or exec() made. Returns its pid. */
  async start(process: ProcessRef, options?: CallOptions): Promise<number> {
    const { pid } = await this.#connection.unary(this.#rpc.Start, { ...process }, options);
    return pid;
  }

  /** Sends a signal, by number. Throws NOT_FOUND when the process has ended. */
  async kill(
    process: ProcessRef,
    signal: number,
    { all = false, ...options }: CallOptions & { /** Every process of the container. */ all?: boolean } = {},
  ): Promise<void> {
    await this.#connection.unary(this.#rpc.Kill, { ...process, signal, all }, options);
  }

  /** Forgets what has ended, and ends the shim with the last task. Throws NOT_FOUND; while it runs, with a code of the shim's choice. */
  async delete(
    { containerId, execId = '' }: ProcessRef,
    options?: CallOptions,
  ): Promise<Exit & { pid: number }> {
    const { pid, exitStatus, exitedAt } =
      execId === ''
        ? await this.#connection.unary(this.#rpc.Delete, { containerId }, options)
        : await this.#connection.unary(this.#rpc.DeleteProcess, { containerId, execId }, options);
    return { pid, exitStatus, exitedAt: fromTimestamp(exitedAt) };
  }

  /** Resolves when the process has ended. Has no time limit; throws UNAVAILABLE when containerd goes away meanwhile. */
  async wait(process: ProcessRef, options: CallOptions = {}): Promise<Exit> {
    const unlimited = { timeoutMs: Infinity, ...options };
    const { exitStatus, exitedAt } = await this.#connection.unary(this.#rpc.Wait, { ...process }, unlimited);
    return { exitStatus, exitedAt: fromTimestamp(exitedAt) };
  }

  /** Adds a process, to be started by start(). */
  async exec(process: Required<ProcessRef>, { spec, io }: NewProcess, options?: CallOptions): Promise<void> {
    const request = { ...process, ...io, spec: runtimeSpecAny('Process', spec) };
    await this.#connection.unary(this.#rpc.Exec, request, options);
  }

  async resize(
    process: ProcessRef,
    size: { readonly width: number; readonly height: number },
    options?: CallOptions,
  ): Promise<void> {
    await this.#connection.unary(this.#rpc.ResizePty, { ...process, ...size }, options);
  }

  /** Lets the process read the end of its stdin. */
  async closeStdin(process: ProcessRef, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.CloseIO, { ...process, stdin: true }, options);
  }

  async pause(containerId: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Pause, { containerId }, options);
  }

  async resume(containerId: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Resume, { containerId }, options);
  }

  /** Throws NOT_FOUND. */
  async get(process: ProcessRef, options?: CallOptions): Promise<Process> {
    const { process: found } = await this.#connection.unary(this.#rpc.Get, { ...process }, options);
    if (found === null) throw new BerthError('INTERNAL', 'containerd answered without the process');
    return { ...toProcess(found), containerId: process.containerId, execId: process.execId ?? '' };
  }

  /** All tasks of the namespace; what is executed in them is not listed. */
  async list(options?: CallOptions): Promise<Process[]> {
    const { tasks } = await this.#connection.unary(this.#rpc.List, {}, options);
    return tasks.map(toProcess);
  }

  /** Every process in the container; the exec id only of those that were executed. */
  async pids(containerId: string, options?: CallOptions): Promise<{ pid: number; execId: string }[]> {
    const { ProcessDetails } = this.#connection.api.runc.v1;
    const { processes } = await this.#connection.unary(this.#rpc.ListPids, { containerId }, options);
    return processes.map(({ pid, info }) => {
      const details = fromMessageAny('containerd.runc.v1.ProcessDetails', ProcessDetails, info);
      return { pid, execId: details?.execId ?? '' };
    });
  }

  /** Usage of the tasks that one of the filters matches; without filters of all. */
  async metrics(filters: readonly string[] = [], options?: CallOptions): Promise<TaskMetric[]> {
    const request = { filters: [...filters] };
    const { metrics } = await this.#connection.unary(this.#rpc.Metrics, request, options);
    return metrics.map(({ id, timestamp, data }) => ({
      containerId: id,
      at: fromTimestamp(timestamp),
      data: data ?? undefined,
    }));
  }

  /** Changes limits while it runs. `resources` is the linux.resources of an OCI runtime specification. */
  async update(containerId: string, resources: object, options?: CallOptions): Promise<void> {
    const request = { containerId, resources: runtimeSpecAny('LinuxResources', resources) };
    await this.#connection.unary(this.#rpc.Update, request, options);
  }

  /** Has CRIU write a checkpoint. Has no time limit of its own. */
  async checkpoint(
    containerId: string,
    checkpoint: CheckpointOptions,
    options: CallOptions = {},
  ): Promise<Descriptor[]> {
    const request = { containerId, options: checkpointOptionsAny(this.#connection.api, checkpoint) };
    const unlimited = { timeoutMs: Infinity, ...options };
    const { descriptors } = await this.#connection.unary(this.#rpc.Checkpoint, request, unlimited);
    return descriptors.map(toDescriptor);
  }
}

function toProcess(wire: Process__Output): Process {
  const { id, pid, status, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = wire;
  return {
    // Before 1.7 a task has no container id but the one that is also its own.
    containerId: wire.containerId === '' ? id : wire.containerId,
    execId: '',
    pid,
    status,
    io: { stdin, stdout, stderr, terminal },
    exitStatus,
    exitedAt: status === 'STOPPED' ? fromTimestamp(exitedAt) : 0n,
  };
}
