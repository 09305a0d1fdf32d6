import { isRunning, type ProcessIdentity, signalProcess } from '../../containerd/embedded/process.ts';
import type { ThreadPool } from '../../kernel/threads/pool.ts';
import { sleep } from '../../lib/deadline.ts';
import type { ShimSearch } from './shim-jobs.ts';

/** The jobs module that the threads which look for shims must load. */
export const shimJobsModule = new URL('./shim-jobs.js', import.meta.url);

/** How long a shim may take to put itself in order. */
const TERMINATE_MS = 1_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends the shim that was started for a container and that containerd knows nothing of, since it died before it had noted where the shim
 * listens. Such a shim was asked for nothing yet, so it has no children; one that serves other containers of the pod has. To be called when the
 * container's own task is gone, and while no task of its pod is made.
 *
 * @param threads must load shimJobsModule.
 */
export async function endOrphanedShim(threads: Pick<ThreadPool, 'call'>, search: ShimSearch): Promise<void> {
  for (const shim of (await threads.call('shims.childless', search)) as ProcessIdentity[]) {
    signalProcess(shim, 'SIGTERM');
    for (let ms = 0; ms < TERMINATE_MS && isRunning(shim); ms += LOOK_EVERY_MS) await sleep(LOOK_EVERY_MS);
    signalProcess(shim, 'SIGKILL');
  }
}
