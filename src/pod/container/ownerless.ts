import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { removeFifos } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import { isExecution } from './executions.ts';
import { withShim } from './shim-lock.ts';
import { ioDirectory } from './start.ts';

/**
 * Removes what the engine has of this instance and no record names: what a lost record, or a pause process that was being started as
 * Berth or the engine was killed, left behind. What others made bears another mark and is not even looked at. Throws UNAVAILABLE while the engine is away.
 */
export async function removeOwnerless(deps: PodDeps): Promise<void> {
  const { engine } = deps.containers;
  await engine.releaseFormer();
  for (const id of await engine.owned()) {
    // A pause process bears its sandbox's id, and is started and ended under the sandbox's lock.
    await deps.locks.with(id, async () => {
      if (hasOwner(deps, id)) return;
      try {
        await withShim(deps, id, () => engine.delete(id));
        deps.log.warn('removed a container that no record names', { container: id });
      } catch (error) {
        if (codeOf(error) === 'UNAVAILABLE') throw error;
        deps.log.error('failed to remove a container that no record names', {
          container: id,
          error: messageOf(error),
        });
      }
    });
  }
}

/**
 * Removes the FIFOs of what no record names: nobody reads them any more. Those of commands that were executed stay until these are ended.
 * To be called while nothing is started.
 */
export async function removeOwnerlessFifos(deps: PodDeps): Promise<void> {
  const root = ioDirectory(deps);
  const ids = await readdir(root).catch(() => []);
  for (const id of ids.filter((one) => !isExecution(one) && !hasOwner(deps, one))) {
    await removeFifos(root, id).catch((error: unknown) => {
      deps.log.warn('failed to remove FIFOs', { id, error: messageOf(error) });
    });
  }
}

/**
 * A record is on disk before anything is made, and until everything is gone. A pause process bears the id of its sandbox, which knows
 * its pid unless it was only half made; a sandbox that is still being made is not in the store yet.
 */
function hasOwner({ containers, store, files }: PodDeps, id: string): boolean {
  if (existsSync(containers.files.path(id))) return true;
  const state = store.byId(id)?.state;
  return state === undefined ? existsSync(files.path(id)) : state.pausePid !== 0;
}
