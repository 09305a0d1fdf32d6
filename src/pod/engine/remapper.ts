import { randomBytes } from 'node:crypto';
import type { CallOptions } from '../../containerd/connection.ts';
import type { Leases } from '../../containerd/leases.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import { codeOf } from '../../lib/errors.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { RootFs } from './rootfs.ts';

/**
 * Root file systems for user namespaces. Not every containerd can map the ids of a snapshot: a copy of the image's uppermost snapshot
 * is made whose files belong to the mapped ids, once for each image and mapping.
 */
export class Remapper {
  readonly #leases: Leases;
  readonly #rootfs: RootFs;
  readonly #locks = new KeyedLock();

  constructor(leases: Leases, rootfs: RootFs) {
    this.#leases = leases;
    this.#rootfs = rootfs;
  }

  /** The name of the copy, which the lease holds. The garbage collector takes it with the last container on it. */
  async remapped(
    snapshots: Snapshots,
    chainId: string,
    mappings: IdMappings,
    options: CallOptions & { readonly lease: string },
  ): Promise<string> {
    const name = copyName(chainId, mappings);
    const { lease, ...call } = options;
    await this.#locks.with(name, async () => {
      // Before it is looked for: one that is there now may be what the garbage collector is about to take.
      await this.#leases.addResource(lease, { type: `snapshots/${snapshots.snapshotter}`, id: name }, call);
      if (await snapshots.exists(name, options)) return;
      const key = `${name}-${randomBytes(4).toString('hex')}`;
      try {
        await this.#rootfs.remap(await snapshots.prepare({ key, parent: chainId }, options), mappings);
        await snapshots.commit(key, name, {}, options);
      } catch (error) {
        await snapshots.remove(key).catch(() => undefined);
        if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
      }
    });
    return name;
  }
}

function copyName(chainId: string, { uids: [uids], gids: [gids] }: IdMappings): string {
  const ranges = [uids, gids].map(({ hostID, size }) => `${hostID}+${size}`);
  return [chainId === '' ? 'empty' : chainId, 'remapped', ...ranges].join('-');
}
