import type { PodDeps } from '../deps.ts';
import { stopContainer } from '../container/stop.ts';
import { type Sandbox, wasReady } from './sandbox.ts';
import { endPause } from './pause.ts';
import { conclude, detachNetwork, releaseNamespaces } from './teardown.ts';

/**
 * Stops a sandbox (CRI StopPodSandbox). An unknown id and a stopped sandbox are success, as the CRI says. A failing
 * CNI plugin does not fail the Stop: the namespaces go, and what it owes is a debt.
 */
export async function stopSandbox(deps: PodDeps, given: string, remainingMs: number): Promise<void> {
  const sandbox = deps.store.find(given);
  if (sandbox === undefined) return;
  await deps.locks.with(sandbox.id, () => stopHeld(deps, sandbox, remainingMs));
}

/** Stops a sandbox whose lock is held. */
export async function stopHeld(deps: PodDeps, sandbox: Sandbox, remainingMs: number): Promise<void> {
  if (sandbox.state.phase === 'stopped') {
    // One that recovery has found without its namespaces may have processes that go on.
    await stopContainers(deps, sandbox);
    return;
  }
  const isKnown = wasReady(sandbox.state);
  // A Stop that fails is tried again.
  await conclude(deps, sandbox, { phase: 'stopping', wasReady: isKnown });
  await stopContainers(deps, sandbox);
  await detachNetwork(deps, sandbox, { remainingMs });
  await releaseNamespaces(deps, sandbox);
  await conclude(deps, sandbox, { phase: 'stopped', process: undefined });
  if (isKnown) deps.events.publish('CONTAINER_STOPPED_EVENT', sandbox);
}

/** Kills what runs in it, the pause process last. */
async function stopContainers(deps: PodDeps, sandbox: Sandbox): Promise<void> {
  const { signal } = new AbortController();
  const containers = deps.containers.store.ofSandbox(sandbox.id);
  await Promise.all(containers.map((container) => stopContainer(deps, container, 0, signal)));
  await endPause(deps, sandbox);
}
