import { nowNanos } from '../../lib/time.ts';
import { fifoPaths } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import { conclude } from './conclude.ts';
import { Container } from './container.ts';
import { releaseOwnerlessMounts } from './mounts.ts';
import { removeOwnerlessFifos } from './ownerless.ts';
import type { StoredContainer } from './record.ts';
import { ioDirectory, pumpSpec } from './start.ts';

/**
 * Reads every container's record. Running ones get their logs pumped again; whether they still run, the first comparison with the
 * engine tells. After a reboot none does. Returns the half-made ones, which the engine has to forget when it answers.
 */
export async function recoverContainers(deps: PodDeps): Promise<Container[]> {
  const { files, store } = deps.containers;
  const { stored, unreadable } = await files.readAll();
  for (const path of unreadable) deps.log.error('left an unreadable container record alone', { path });
  const ids = new Set(stored.map(({ record }) => record.id));
  await releaseOwnerlessMounts(deps, (id) => ids.has(id) || unreadable.includes(files.path(id)));
  const halfMade: Container[] = [];
  // At once: the thread that pumps may be slow to answer each.
  for (const container of await Promise.all(stored.map((one) => recoverOne(deps, one)))) {
    if (container.state.phase === 'creating') halfMade.push(container);
    else store.add(container);
  }
  await removeOwnerlessFifos(deps);
  await deps.containers.executions.recover();
  return halfMade;
}

async function recoverOne(deps: PodDeps, { record, state }: StoredContainer): Promise<Container> {
  const container = new Container(record, deps.containers.files, state);
  if (container.state.phase !== 'running') return container;
  if (record.bootId !== deps.bootId) {
    const finishedAt = nowNanos().toString();
    await conclude(deps, container, {
      phase: 'exited',
      pid: 0,
      exitCode: 255,
      reason: 'Unknown',
      finishedAt,
    });
    return container;
  }
  await pumpAgain(deps, container);
  return container;
}

/** Pumps the log of a container that runs. Its writer never noticed that we were away: what it wrote waits in the FIFO. */
export function pumpAgain(deps: PodDeps, container: Container): Promise<void> {
  const { stdin, tty } = container.record.config;
  const fifos = fifoPaths(ioDirectory(deps), container.id, { stdin, terminal: tty });
  return deps.containers.pumps.takeUp(pumpSpec(deps, container, fifos));
}
