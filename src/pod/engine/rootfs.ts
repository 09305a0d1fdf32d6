import type { Mount } from '../../containerd/types.ts';
import type { ThreadPool } from '../../kernel/threads/pool.ts';
import type { Accounts } from '../../oci/accounts.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { Inspection } from './rootfs-jobs.ts';

/** The jobs module that the pool of RootFs must load. */
export const rootfsJobsModule = new URL('./rootfs-jobs.js', import.meta.url);

/** Nodes have fewer images; past this all are looked into again. */
const KNOWN_IMAGES_MOST = 500;
/** An image with more accounts than that is looked into each time: it is not kept in memory. */
const KEPT_ACCOUNTS_MOST = 1_000;

/** Looks into root file systems, off the main thread. */
export class RootFs {
  readonly #pool: ThreadPool;
  /** By the image's id, which is a digest of all that it holds. */
  readonly #accounts = new Map<string, Accounts>();

  constructor(pool: ThreadPool) {
    this.#pool = pool;
  }

  /** The users and groups of an image whose root file system is given by how to mount it; fills volumes from it. */
  async inspect({ image, ...inspection }: Inspection & { readonly image: string }): Promise<Accounts> {
    const known = this.#accounts.get(image);
    if (known !== undefined && inspection.volumes.length === 0) return known;
    const accounts = (await this.#pool.call('rootfs.inspect', inspection)) as Accounts;
    if (this.#accounts.size >= KNOWN_IMAGES_MOST) this.#accounts.clear();
    if (accounts.users.length + accounts.groups.length <= KEPT_ACCOUNTS_MOST)
      this.#accounts.set(image, accounts);
    return accounts;
  }

  /** Gives every file of a root file system to the ids that its own are mapped to. */
  async remap(mounts: readonly Mount[], mappings: IdMappings): Promise<void> {
    await this.#pool.call('rootfs.remap', { mounts, mappings });
  }
}
