/** The parts of taking a sandbox down that Stop, a failed Run and recovery share. */
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import type { Observer, Target } from '../../network/pod-network.ts';
import type { PodDeps } from '../deps.ts';
import type { SandboxState } from './record.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * Keeps each step and result with the sandbox, and a running executable on disk, so that recovery can end it; what the plugins before it have
 * returned goes there with it.
 */
export function observe(sandbox: Sandbox, deps: Pick<PodDeps, 'log'>): Observer {
  return {
    onBegin: (step) => sandbox.beginStep(step),
    onStep: (step) => sandbox.addStep(step),
    onResults: (results) => sandbox.noteResults(results),
    onProcess: (process) => {
      sandbox.update({ process }).catch((error: unknown) => {
        deps.log.warn('failed to record a plugin process', { sandbox: sandbox.id, error: messageOf(error) });
      });
    },
  };
}

/**
 * Records what has happened. A full disk keeps no pod: to stop it may be what makes room. Recovery finds by its namespaces that a sandbox
 * recorded as ready is dead, and owes the DELs again.
 */
export async function conclude(
  { log }: Pick<PodDeps, 'log'>,
  sandbox: Sandbox,
  change: Partial<SandboxState>,
): Promise<void> {
  await sandbox.conclude(change).catch((error: unknown) => {
    log.error('failed to record a sandbox', { sandbox: sandbox.id, error: messageOf(error) });
  });
}

/** Whether the sandbox has a network namespace of its own that is still pinned. Somebody else may have removed it. */
export function hasNetwork({ namespaces }: Pick<PodDeps, 'namespaces'>, { record }: Sandbox): boolean {
  const { network } = record.namespaces;
  return network !== undefined && namespaces.isNamespace(network);
}

/** The sandbox as PodNetwork wants it. A netns of '' says that it is gone. */
export function networkTarget(sandbox: Sandbox, netns = sandbox.record.namespaces.network ?? ''): Target {
  return { sandboxId: sandbox.id, pod: sandbox.pod, netns, attachments: sandbox.record.attachments };
}

/**
 * DELs the sandbox's attachments; what is not paid is a debt, not an error. Plugins are told of the namespace only while it is
 * there: of one that is gone the CNI specification wants an empty CNI_NETNS.
 */
export async function detachNetwork(
  deps: PodDeps,
  sandbox: Sandbox,
  { remainingMs = Infinity }: { remainingMs?: number } = {},
): Promise<void> {
  if (sandbox.record.attachments.length === 0) return;
  const netns = hasNetwork(deps, sandbox) ? sandbox.record.namespaces.network : '';
  await deps.network.detach(networkTarget(sandbox, netns), sandbox.state.results, observe(sandbox, deps), {
    namespaceEnds: true,
    remainingMs,
  });
}

/** Unpins the namespaces, unmounts /dev/shm and removes the state directory. All of it may be gone already. */
export async function releaseNamespaces(deps: PodDeps, sandbox: Sandbox): Promise<void> {
  const { namespaces, shm, id } = sandbox.record;
  await deps.namespaces.removeAll({
    pins: Object.values(namespaces),
    ...(shm === '' ? {} : { shm }),
    directory: stateDirectory(deps, id),
  });
}

/** Where its network namespace is pinned, when it has one of its own. */
export function netnsPath(
  { settings, instance }: Pick<PodDeps, 'settings' | 'instance'>,
  id: string,
): string {
  return join(settings.cni.netnsDir, `berth-${instance}-${id.slice(0, 16)}`);
}

/** Where the sandbox keeps what does not survive a reboot. */
export function stateDirectory(deps: Pick<PodDeps, 'settings'>, id: string): string {
  return join(deps.settings.storage.state, 'sandboxes', id);
}
