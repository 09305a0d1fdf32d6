import type { PodDeps } from '../deps.ts';
import { removeContainer } from '../container/remove.ts';
import { stopHeld } from './stop.ts';

/**
 * Removes a sandbox, stopping it first if need be (CRI RemovePodSandbox). An unknown id is success, as the CRI says.
 */
export async function removeSandbox(deps: PodDeps, given: string, remainingMs: number): Promise<void> {
  const sandbox = deps.store.find(given);
  if (sandbox === undefined) return;
  await deps.locks.with(sandbox.id, async () => {
    if (deps.store.find(sandbox.id) === undefined) return;
    await stopHeld(deps, sandbox, remainingMs);
    for (const container of deps.containers.store.ofSandbox(sandbox.id))
      await removeContainer(deps, container.id);
    await sandbox.forget();
    deps.store.remove(sandbox);
    deps.events.publish('CONTAINER_DELETED_EVENT', sandbox);
  });
}
