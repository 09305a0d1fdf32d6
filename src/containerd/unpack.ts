import { randomBytes } from 'node:crypto';
import { BerthError, wrap } from '../lib/errors.ts';
import { KeyedLock } from '../lib/keyed-lock.ts';
import type { CallOptions } from './connection.ts';
import type { Containerd } from './containerd.ts';
import { digestOf } from './content.ts';
import type { ImageDocuments, Layer } from './image-documents.ts';
import type { Snapshots } from './snapshots.ts';
import type { Labels } from './types.ts';

/** A pull of a large image on a slow disk takes minutes; what Berth left behind when it was killed goes after this. */
const LEASE_MS = 60 * 60 * 1_000;

/** The names of an image's committed snapshots, from the bottom up: each hashes the one below and its own diff id. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}

/** Makes snapshots of images that were imported but not unpacked, as `ctr images import --no-unpack` or a pull by another leaves them. */
export class Unpacker {
  readonly #containerd: Containerd;
  readonly #labels: Labels;
  readonly #locks = new KeyedLock();

  /** @param labels of the leases that it holds meanwhile. */
  constructor(containerd: Containerd, labels: Labels = {}) {
    this.#containerd = containerd;
    this.#labels = labels;
  }

  /**
   * Returns the name of the snapshot that a container's root filesystem goes on; '' for an image without layers. Does nothing
   * when it is there. Several calls for one image do the work once. Throws NOT_FOUND when a layer was not pulled.
   */
  async unpack(
    image: ImageDocuments,
    snapshotter: string,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const snapshots = this.#containerd.snapshots(snapshotter);
    const chain = chainIds(image.layers.map(({ diffId }) => diffId));
    const top = chain.at(-1);
    if (top === undefined) return '';
    await this.#locks.with(`${snapshotter} ${top}`, async () => {
      if (await snapshots.exists(top, { signal })) return;
      await this.#unpackMissing(image, snapshots, chain, signal);
    });
    return top;
  }

  async #unpackMissing(
    image: ImageDocuments,
    snapshots: Snapshots,
    chain: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { leases, content } = this.#containerd;
    using lease = await leases.hold({ ttlMs: LEASE_MS, labels: this.#labels }, { signal });
    const call = { signal, lease: lease.id };
    const present = await countPresent(snapshots, chain, call);
    for (let at = present; at < chain.length; at += 1) {
      const layer = image.layers[at];
      const name = chain[at];
      if (layer === undefined || name === undefined) break;
      await this.#unpackLayer(snapshots, { layer, name, parent: chain[at - 1] ?? '' }, call);
    }
    // The image's name keeps the configuration, and by this label the configuration keeps the snapshots.
    const keep = { [`containerd.io/gc.ref.snapshot.${snapshots.snapshotter}`]: chain.at(-1) ?? '' };
    await content.label(image.configuration.digest, keep, call);
  }

  async #unpackLayer(
    snapshots: Snapshots,
    { layer, name, parent }: { layer: Layer; name: string; parent: string },
    call: CallOptions,
  ): Promise<void> {
    const key = `extract-berth-${randomBytes(6).toString('hex')} ${name}`;
    try {
      const labels = { ...snapshotLabels(layer), 'containerd.io/snapshot.ref': name };
      const mounts = await snapshots.prepare({ key, parent, labels }, call);
      const applied = await this.#containerd.diffs.apply(layer.descriptor, mounts, call);
      if (applied.digest !== layer.diffId) {
        const problem = `its content has digest ${applied.digest}, its configuration says ${layer.diffId}`;
        throw new BerthError('INVALID_ARGUMENT', problem);
      }
      await snapshots.commit(key, name, labels, call);
    } catch (error) {
      // Its own time: the call's may be what ended.
      await snapshots.remove(key, { lease: call.lease }).catch(() => undefined);
      if (isAlreadyThere(error) && (await snapshots.exists(name, call))) return;
      throw wrap(`failed to unpack layer "${layer.descriptor.digest}"`, error);
    }
  }
}

/** What the layer tells the snapshotter: nydus, stargz and the like know by it what a layer is. */
function snapshotLabels({ descriptor: { annotations } }: Layer): Labels {
  const entries = Object.entries(annotations).filter(([key]) => key.startsWith('containerd.io/snapshot/'));
  return Object.fromEntries(entries);
}

/** Another process was faster, or the snapshotter has the layer from elsewhere. */
function isAlreadyThere(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'ALREADY_EXISTS';
}

/** How many layers from the bottom are there already. */
async function countPresent(
  snapshots: Snapshots,
  chain: readonly string[],
  call: CallOptions,
): Promise<number> {
  for (let count = chain.length; count > 0; count -= 1) {
    if (await snapshots.exists(chain[count - 1] ?? '', call)) return count;
  }
  return 0;
}
