import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Containerd } from '../../containerd/containerd.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import { gone } from './gone.ts';
import type { CheckpointFiles, EngineOptions } from './engine.ts';

/** Longer than any checkpoint takes; ends by itself what a Berth that dies in between leaves. */
const LEASE_MS = 60 * 60 * 1_000;
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

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
