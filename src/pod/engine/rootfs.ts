import type { Mount } from '../../containerd/types.ts';
import type { ThreadPool } from '../../kernel/threads/pool.ts';
import type { Accounts } from '../../oci/accounts.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { Inspection } from './rootfs-jobs.ts';

/** The jobs module that the pool of RootFs must load. */
export const rootfsJobsModule = new URL('./rootfs-jobs.js', import.meta.url);

/** Looks into root file systems, off the main thread. */
export class RootFs {
  readonly #pool: ThreadPool;

  constructor(pool: ThreadPool) {
    this.#pool = pool;
  }

  /** The users and groups of a root file system that is given by how to mount it; fills volumes from it. */
  async inspect(inspection: Inspection): Promise<Accounts> {
    return (await this.#pool.call('rootfs.inspect', inspection)) as Accounts;
  }

  /** Gives every file of a root file system to the ids that its own are mapped to. */
  async remap(mounts: readonly Mount[], mappings: IdMappings): Promise<void> {
    await this.#pool.call('rootfs.remap', { mounts, mappings });
  }
}
