import type { Info__Output } from '../gen/containerd/services/snapshots/v1/Info.ts';
import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import { type Labels, type Mount, toMounts } from './types.ts';

export type SnapshotKind = 'VIEW' | 'ACTIVE' | 'COMMITTED';

export interface Snapshot {
  /** The key of an active snapshot or a view; a committed one's name. */
  readonly name: string;
  /** Name of the snapshot below; '' for none. */
  readonly parent: string;
  readonly kind: SnapshotKind;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly labels: Labels;
}

export interface NewSnapshot {
  readonly key: string;
  /** A committed snapshot; '' for an empty filesystem. */
  readonly parent: string;
  readonly labels?: Labels;
}

/** One snapshotter: layers, and the root filesystems of containers. */
export class Snapshots {
  /** The snapshotter's name, such as `overlayfs`. */
  readonly snapshotter: string;
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection, snapshotter: string) {
    this.snapshotter = snapshotter;
    this.#connection = connection;
    this.#rpc = connection.api.services.snapshots.v1.Snapshots.service;
  }

  /** Makes a writable snapshot and returns how to mount it. Throws ALREADY_EXISTS, NOT_FOUND for the parent. */
  async prepare(snapshot: NewSnapshot, options?: CallOptions): Promise<Mount[]> {
    const { mounts } = await this.#connection.unary(this.#rpc.Prepare, this.#new(snapshot), options);
    return toMounts(mounts);
  }

  /** Makes a read-only snapshot and returns how to mount it. Throws as prepare does. */
  async view(snapshot: NewSnapshot, options?: CallOptions): Promise<Mount[]> {
    const { mounts } = await this.#connection.unary(this.#rpc.View, this.#new(snapshot), options);
    return toMounts(mounts);
  }

  /** How to mount an active snapshot or a view. Throws NOT_FOUND. */
  async mounts(key: string, options?: CallOptions): Promise<Mount[]> {
    const { mounts } = await this.#connection.unary(this.#rpc.Mounts, this.#of(key), options);
    return toMounts(mounts);
  }

  /** Makes an active snapshot a committed one, under a name. Throws ALREADY_EXISTS when the name is taken. */
  async commit(key: string, name: string, labels: Labels = {}, options?: CallOptions): Promise<void> {
    const request = { ...this.#of(key), name, labels: { ...labels } };
    await this.#connection.unary(this.#rpc.Commit, request, options);
  }

  /** Throws NOT_FOUND, FAILED_PRECONDITION while another snapshot has it as parent. */
  async remove(key: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Remove, this.#of(key), options);
  }

  /** Throws NOT_FOUND. */
  async stat(key: string, options?: CallOptions): Promise<Snapshot> {
    const { info } = await this.#connection.unary(this.#rpc.Stat, this.#of(key), options);
    return toSnapshot(info);
  }

  /** Whether there is a snapshot of this key or name. */
  async exists(key: string, options?: CallOptions): Promise<boolean> {
    try {
      await this.stat(key, options);
      return true;
    } catch (error) {
      if (error instanceof BerthError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  /** Sets these labels and leaves the others. Throws NOT_FOUND. */
  async label(name: string, labels: Labels, options?: CallOptions): Promise<void> {
    const request = {
      snapshotter: this.snapshotter,
      info: { name, labels: { ...labels } },
      updateMask: { paths: Object.keys(labels).map((key) => `labels.${key}`) },
    };
    await this.#connection.unary(this.#rpc.Update, request, options);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Snapshot[]> {
    const request = { snapshotter: this.snapshotter, filters: [...filters] };
    const found: Snapshot[] = [];
    for await (const { info } of this.#connection.stream(this.#rpc.List, request, options)) {
      found.push(...info.map(toSnapshot));
    }
    return found;
  }

  /** What the snapshot itself takes on disk, without its parents. Throws NOT_FOUND. */
  async usage(key: string, options?: CallOptions): Promise<{ bytes: number; inodes: number }> {
    const { size, inodes } = await this.#connection.unary(this.#rpc.Usage, this.#of(key), options);
    return { bytes: Number(size), inodes: Number(inodes) };
  }

  /** Has the snapshotter take away what removed snapshots left. UNIMPLEMENTED in some. */
  async cleanup(options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Cleanup, { snapshotter: this.snapshotter }, options);
  }

  #of(key: string): { snapshotter: string; key: string } {
    return { snapshotter: this.snapshotter, key };
  }

  #new({ key, parent, labels = {} }: NewSnapshot) {
    return { snapshotter: this.snapshotter, key, parent, labels: { ...labels } };
  }
}

function toSnapshot(wire: Info__Output | null): Snapshot {
  if (wire === null) throw new BerthError('INTERNAL', 'containerd answered without the snapshot');
  const { name, parent, kind, createdAt, labels } = wire;
  if (kind === 'UNKNOWN') throw new BerthError('INTERNAL', `snapshot "${name}" is of an unknown kind`);
  return { name, parent, kind, createdAt: fromTimestamp(createdAt), labels };
}
