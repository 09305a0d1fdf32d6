import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { CallOptions } from '../../containerd/connection.ts';
import type { Containerd } from '../../containerd/containerd.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import type { ImageDocuments } from '../../containerd/image-documents.ts';
import { type Any, fromMessageAny, runcOptionsAny } from '../../containerd/typeurl.ts';
import type { Mount } from '../../containerd/types.ts';
import { BerthError, codeOf } from '../../lib/errors.ts';
import { gone } from './gone.ts';
import type { CheckpointFiles, CheckpointToRestore, EngineOptions } from './engine.ts';

export type LeasedCall = CallOptions & { readonly lease: string };

/** Longer than any checkpoint takes; ends by itself what a Berth that dies in between leaves. */
const LEASE_MS = 60 * 60 * 1_000;
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
/** One that is compressed, or not: containerd looks. Its own checkpoints have the layer as it keeps it, compressed. */
const ANY_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
const PIECE = 256 * 1024;

/**
 * Writes a checkpoint of a running container. Its processes are frozen from before CRIU looks at them until its files are
 * copied, so that both tell of the same moment.
 */
export async function writeCheckpoint(
  containerd: Containerd,
  snapshots: Snapshots,
  id: string,
  { files, signal }: EngineOptions & { readonly files: CheckpointFiles },
): Promise<void> {
  const { tasks } = containerd;
  signal?.throwIfAborted();
  // The signal cuts off neither this nor CRIU: the shim does one thing after another, and whatever it has begun to its end.
  await tasks.pause(id);
  try {
    const { images: imagePath, work: workPath } = files;
    signal?.throwIfAborted();
    await tasks.checkpoint(id, { exit: false, imagePath, workPath });
    signal?.throwIfAborted();
    await writeDiff(containerd, snapshots, id, { file: files.rootfsDiff, signal });
  } finally {
    await gone(tasks.resume(id));
  }
}

/** What the container's snapshot has and its parent has not. */
async function writeDiff(
  containerd: Containerd,
  snapshots: Snapshots,
  id: string,
  { file, signal }: { readonly file: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { leases, diffs, content } = containerd;
  using lease = await leases.hold({ ttlMs: LEASE_MS }, { signal });
  const call = { signal, lease: lease.id };
  const { parent } = await snapshots.stat(id, call);
  const key = `${id}-parent-${randomBytes(4).toString('hex')}`;
  try {
    const lower = await snapshots.view({ key, parent }, call);
    const upper = await snapshots.mounts(id, call);
    const { digest } = await diffs.diff(lower, upper, { mediaType: LAYER, ref: key }, call);
    await pipeline(content.pieces(digest, call), createWriteStream(file, { mode: 0o600 }));
  } finally {
    await snapshots.remove(key).catch(() => undefined);
  }
}

/** Extracts a layer that is a file on this node, compressed or not, onto what is mounted. */
export async function layOver(
  { content, diffs }: Containerd,
  { file, ref }: { readonly file: string; readonly ref: string },
  mounts: readonly Mount[],
  call: LeasedCall,
): Promise<void> {
  const pieces = createReadStream(file, { highWaterMark: PIECE }) as AsyncIterable<Buffer>;
  const blob = await content.writePieces(pieces, ref, call);
  await diffs.apply({ ...blob, mediaType: ANY_LAYER, annotations: {} }, mounts, call);
}

/** Writes the one layer of an image, which is the archive of a checkpoint, as it is kept: it may be compressed. */
export async function writeArchive(
  { content }: Containerd,
  { layers, manifest }: ImageDocuments,
  file: string,
  { signal }: EngineOptions,
): Promise<void> {
  const [layer, ...others] = layers;
  if (layer === undefined || others.length > 0) {
    const problem = `image manifest "${manifest.digest}" has ${layers.length} layers, a checkpoint has one`;
    throw new BerthError('FAILED_PRECONDITION', problem);
  }
  const pieces = content.pieces(layer.descriptor.digest, { signal });
  try {
    await pipeline(pieces, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND') throw error;
    const problem = 'containerd has not kept its layer (discard_unpacked_layers)';
    throw new BerthError('FAILED_PRECONDITION', problem, { cause: error });
  }
}

/** The container's own options for the shim of runc, with a checkpoint to restore. */
export async function restoreOptions(
  { containers, connection: { api } }: Containerd,
  id: string,
  { images, work }: CheckpointToRestore,
  options: EngineOptions,
): Promise<Any> {
  const { runtimeOptions = null } = await containers.get(id, options);
  const own = fromMessageAny('containerd.runc.v1.Options', api.runc.v1.Options, runtimeOptions);
  return runcOptionsAny(api, { ...own, criuImagePath: images, criuWorkPath: work });
}
