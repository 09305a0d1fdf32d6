import { removeFifos } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import { discard } from './discard.ts';
import { withShim } from './shim-lock.ts';
import { ioDirectory } from './start.ts';
import { stopContainer } from './stop.ts';

/**
 * Removes a container with its root file system, killing it first if need be (CRI RemoveContainer). An unknown id is success. Its
 * log stays: that is kubelet's to remove.
 */
export async function removeContainer(deps: PodDeps, given: string): Promise<void> {
  const { store, pumps } = deps.containers;
  const container = store.find(given);
  if (container === undefined) return;
  await stopContainer(deps, container, 0, new AbortController().signal);
  await deps.locks.with(`container ${container.id}`, async () => {
    if (store.find(container.id) === undefined) return;
    await withShim(deps, container.record.sandboxId, () => discard(deps, container));
    await pumps.stop(container.id);
    await removeFifos(ioDirectory(deps), container.id);
    await container.forget();
    store.remove(container);
  });
  const sandbox = deps.store.find(container.record.sandboxId);
  if (sandbox !== undefined) deps.events.publish('CONTAINER_DELETED_EVENT', sandbox, container.id);
}
