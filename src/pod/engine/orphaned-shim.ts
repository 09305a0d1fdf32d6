import { readdirSync } from 'node:fs';
import {
  findProcesses,
  isRunning,
  isShimOf,
  parentOf,
  signalProcess,
} from '../../containerd/embedded/process.ts';
import { sleep } from '../../lib/deadline.ts';

/** How long a shim may take to put itself in order. */
const TERMINATE_MS = 1_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends the shim that was started for a container and that containerd knows nothing of, since it died before it had noted where the shim
 * listens. Such a shim was asked for nothing yet, so it has no children; one that serves other containers of the pod has. To be called when the
 * container's own task is gone, and while no task of its pod is made.
 *
 * @param address of containerd, which the shim was started with.
 */
export async function endOrphanedShim(address: string, id: string): Promise<void> {
  const isItsShim = (argv: readonly string[]): boolean =>
    isShimOf(argv, address) && argv[argv.indexOf('-id') + 1] === id;
  for (const shim of findProcesses(isItsShim)) {
    if (hasChildren(shim.pid)) continue;
    signalProcess(shim, 'SIGTERM');
    for (let ms = 0; ms < TERMINATE_MS && isRunning(shim); ms += LOOK_EVERY_MS) await sleep(LOOK_EVERY_MS);
    signalProcess(shim, 'SIGKILL');
  }
}

function hasChildren(pid: number): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && parentOf(Number(name)) === pid);
}
