import { readlinkSync } from 'node:fs';
import type { Containerd } from '../../containerd/containerd.ts';
import {
  identify,
  parentOf,
  type ProcessIdentity,
  signalProcess,
} from '../../containerd/embedded/process.ts';
import { isRunc } from '../../config/runtime-handlers.ts';

/**
 * Kills what was executed in a container and is known to nobody. When who has asked a shim for the Start of an exec dies in the middle of it,
 * a Berth or the containerd that it asked, the shim kills the runc that it has running for it; what that had just let go lives on, and the
 * shim never learns its pid.
 *
 * Such a process is known by its parent, the shim: it alone takes in what runc leaves, as a subreaper, and what a process of the container
 * leaves goes to the first process of its pid namespace. So a child of the shim in that namespace is a container's first process or
 * was executed, and those that were started the shim tells by their exec ids. Without a pid namespace of its own (hostPID) a container
 * leaves its orphans to the shim, too: there nothing is certain, and nothing done.
 *
 * @param lostAt when who had asked was lost, in ticks since boot: what began later may be about to be told.
 */
export async function endStrayExecs(
  { containers, tasks }: Containerd,
  id: string,
  lostAt: number,
): Promise<void> {
  const { runtime } = await containers.get(id);
  // The pids of other shims may be those inside of a virtual machine.
  if (!isRunc(runtime)) return;
  const { pid: first } = await tasks.get({ containerId: id });
  const shim = parentOf(first);
  const namespace = pidNamespaceOf(first);
  if (namespace === undefined || namespace === pidNamespaceOf(shim)) return;
  for (const { pid, execId } of await tasks.pids(id)) {
    if (execId !== '' || pid === first) continue;
    const identity = identify(pid);
    if (identity === undefined || !beganBy(lostAt, identity)) continue;
    if (parentOf(pid) === shim && pidNamespaceOf(pid) === namespace) signalProcess(identity, 'SIGKILL');
  }
}

function beganBy(ticks: number, { startTime }: ProcessIdentity): boolean {
  return Number(startTime) <= ticks;
}

function pidNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
