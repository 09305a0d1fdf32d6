import type { Mount } from '../../containerd/types.ts';
import { ThreadPool } from '../../kernel/threads/pool.ts';
import type { Accounts } from '../../oci/accounts.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { Inspection } from './rootfs-jobs.ts';

/** Nodes have fewer images; past this all are looked into again. */
const KNOWN_IMAGES_MOST = 500;
/** An image with more accounts than that is looked into each time: it is not kept in memory. */
const KEPT_ACCOUNTS_MOST = 1_000;

type Pool = Pick<ThreadPool, 'call' | 'pending' | 'stop'>;

/** Looking takes milliseconds and copying up to minutes, for which nobody who only looks shall wait. */
export interface RootFsPools {
  readonly looking: Pool;
  readonly copying: Pool;
}

function threadPools(): RootFsPools {
  const modules = [new URL('./rootfs-jobs.js', import.meta.url)];
  return {
    looking: new ThreadPool({ name: 'rootfs', size: 1, modules }),
    copying: new ThreadPool({ name: 'rootfs-copy', size: 2, modules }),
  };
}

/** Looks into root file systems, and copies from them, off the main thread. */
export class RootFs {
  readonly #pools: RootFsPools;
  /** By the image's id, which is a digest of all that it holds. */
  readonly #accounts = new Map<string, Accounts>();

  constructor(pools = threadPools()) {
    this.#pools = pools;
  }

  /** The users and groups of an image whose root file system is given by how to mount it; fills volumes from it. */
  async inspect({ image, ...inspection }: Inspection & { readonly image: string }): Promise<Accounts> {
    const known = this.#accounts.get(image);
    if (known !== undefined && inspection.volumes.length === 0) return known;
    const { looking, copying } = this.#pools;
    const pool = inspection.volumes.length === 0 ? looking : copying;
    const accounts = (await pool.call('rootfs.inspect', inspection)) as Accounts;
    if (this.#accounts.size >= KNOWN_IMAGES_MOST) this.#accounts.clear();
    if (accounts.users.length + accounts.groups.length <= KEPT_ACCOUNTS_MOST)
      this.#accounts.set(image, accounts);
    return accounts;
  }

  /** Gives every file of a root file system to the ids that its own are mapped to. */
  async remap(mounts: readonly Mount[], mappings: IdMappings): Promise<void> {
    await this.#pools.copying.call('rootfs.remap', { mounts, mappings });
  }

  /** Jobs that wait or run, by their pool. */
  pending(): Record<string, number> {
    const { looking, copying } = this.#pools;
    return { rootfs: looking.pending, rootfsCopy: copying.pending };
  }

  /** Ends the threads, which takes a few seconds when one is at work. */
  async stop(): Promise<void> {
    await Promise.all([this.#pools.looking.stop(), this.#pools.copying.stop()]);
  }
}
