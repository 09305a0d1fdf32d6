import { removeFifos } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineTask } from '../engine/engine.ts';
import type { Container } from './container.ts';
import { pumpAgain } from './recover.ts';
import { endRestore } from './restore.ts';
import { withShim } from './shim-lock.ts';
import { ioDirectory } from './start.ts';

/**
 * Settles the start of a container that has a task though its record knows of none. Berth was killed in the middle of it: what was
 * started is recorded as RUNNING, whether or not it still runs. Or the engine was, and the start has failed: what was started after
 * all is ended. To be called without locks. True when the container is RUNNING now because of this.
 *
 * @param since nanoseconds since the epoch, when the task was there already.
 */
export function settleStart(
  deps: PodDeps,
  container: Container,
  { task, since }: { task: EngineTask; since: bigint },
): Promise<boolean> {
  // As a start does: it, and the end of the sandbox, wait for this.
  const { locks } = deps;
  const { sandboxId } = container.record;
  return locks.with(sandboxId, () =>
    locks.with(`container ${container.id}`, () => settleHeld(deps, container, task, since)),
  );
}

async function settleHeld(
  deps: PodDeps,
  container: Container,
  task: EngineTask,
  since: bigint,
): Promise<boolean> {
  const { engine, pumps, store } = deps.containers;
  const { phase } = container.state;
  // It was being started, or removed, as its task was seen.
  if (phase === 'running' || store.find(container.id) === undefined) return false;
  const sandbox = deps.store.find(container.record.sandboxId);
  // Nobody can say; the next comparison may. A shim that was at the start waits for a reader of the container's output before it answers.
  if (task.status === 'unknown') {
    if (phase === 'created') await pumpAgain(deps, container);
    return false;
  }
  if (phase !== 'created' || task.status === 'created' || sandbox?.state.phase !== 'ready') {
    // What could not be written then: with its task goes all that the next Berth could learn it from.
    await container.update({});
    await withShim(deps, container.record.sandboxId, () => engine.endTask(container.id));
    await pumps.stop(container.id);
    await removeFifos(ioDirectory(deps), container.id);
    return false;
  }
  await pumpAgain(deps, container);
  const startedAt = task.exit !== undefined && task.exit.at < since ? task.exit.at : since;
  await container.update({ phase: 'running', pid: task.pid, startedAt: startedAt.toString() });
  await endRestore(deps, container);
  deps.events.publish('CONTAINER_STARTED_EVENT', sandbox, container.id);
  return true;
}
