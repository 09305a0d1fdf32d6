import { removeFifos } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { discard } from './discard.ts';
import { withShim } from './shim-lock.ts';
import { ioDirectory } from './start.ts';
import { stopContainer } from './stop.ts';

/**
 * Removes a container with its root file system, killing it first if need be (CRI RemoveContainer). An unknown id is success. Its
 * log stays: that is kubelet's to remove.
 */
export async function removeContainer(deps: PodDeps, given: string): Promise<void> {
  const container = deps.containers.store.find(given);
  if (container === undefined) return;
  do await stopContainer(deps, container, 0, new AbortController().signal);
  while (!(await removeUnlessRunning(deps, container)));
}

/** As removeContainer, but leaves one alone that runs, maybe by a start that was under way: false then. */
export async function removeUnlessRunning(deps: PodDeps, container: Container): Promise<boolean> {
  const { store, pumps } = deps.containers;
  const { id, record } = container;
  return deps.locks.with(`container ${id}`, async () => {
    // Its end is recorded under this lock, so it cannot be waited for here.
    if (container.state.phase === 'running') return false;
    if (store.byId(id) === undefined) return true;
    await withShim(deps, record.sandboxId, () => discard(deps, container));
    await pumps.stop(id);
    await removeFifos(ioDirectory(deps), id);
    await container.forget();
    store.remove(container);
    const sandbox = deps.store.find(record.sandboxId);
    if (sandbox !== undefined) deps.events.publish('CONTAINER_DELETED_EVENT', sandbox, id);
    return true;
  });
}
