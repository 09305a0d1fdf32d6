import { join } from 'node:path';
import { BerthError, messageOf, wrap } from '../../lib/errors.ts';
import { nowNanos } from '../../lib/time.ts';
import { createFifos, type FifoPaths, removeFifos } from '../../stdio/fifos.ts';
import { pidMode } from '../../oci/namespaces.ts';
import type { PumpSpec } from '../../stdio/protocol.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineIo, EngineStart } from '../engine/engine.ts';
import { pausePidNamespace } from '../sandbox/pause.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Container } from './container.ts';
import { releaseHostPaths } from './mounts.ts';
import { START_ERROR } from './record.ts';
import { beginRestore, endRestore, restoreError } from './restore.ts';
import { withShim } from './shim-lock.ts';
import { targetContainer } from './target.ts';

/**
 * Starts a created container (CRI StartContainer). One that cannot be started is EXITED with the runtime's own words, and that
 * is the error too.
 */
export function startContainer(deps: PodDeps, container: Container, signal: AbortSignal): Promise<void> {
  // The sandbox's lock: it must not be stopped meanwhile. The container's: it may end before it is recorded as running, and
  // its end is recorded after that.
  const { locks } = deps;
  const { sandboxId } = container.record;
  return locks.with(sandboxId, () =>
    locks.with(`container ${container.id}`, () => startHeld(deps, container, signal)),
  );
}

async function startHeld(deps: PodDeps, container: Container, signal: AbortSignal): Promise<void> {
  if (container.state.phase !== 'created') {
    throw new BerthError(
      'FAILED_PRECONDITION',
      `container "${container.id}" is ${container.state.phase}, not created`,
    );
  }
  const sandbox = deps.store.get(container.record.sandboxId);
  if (sandbox.state.phase !== 'ready') {
    throw new BerthError('FAILED_PRECONDITION', `sandbox "${sandbox.id}" is not ready`);
  }
  try {
    requirePidNamespace(deps, container, sandbox);
    const { pid, at } = await run(deps, container, sandbox.record.runtimeHandler, signal);
    await container.update({ phase: 'running', pid, startedAt: at.toString() });
  } catch (thrown) {
    const error = await restoreError(deps, container, thrown);
    await giveUp(deps, container, error);
    throw wrap(`failed to start container "${container.id}"`, error);
  } finally {
    await endRestore(deps, container);
  }
  deps.events.publish('CONTAINER_STARTED_EVENT', sandbox, container.id);
}

/** Another process may have the pid of one that has ended since the container was made, and a namespace that is none of the pod's. */
function requirePidNamespace(deps: PodDeps, { record, state }: Container, sandbox: Sandbox): void {
  const mode = pidMode(record.config);
  if (mode === 'TARGET') targetContainer(deps, record.config, sandbox.id);
  if (mode === 'POD' && state.pidNamespace !== pausePidNamespace(sandbox)) {
    const what = 'the pause process that it was made to share pids with has ended';
    throw new BerthError('FAILED_PRECONDITION', what);
  }
}

async function run(
  deps: PodDeps,
  container: Container,
  runtimeHandler: string,
  signal: AbortSignal,
): Promise<EngineStart> {
  const { config, sandboxId } = container.record;
  const { engine, pumps } = deps.containers;
  const checkpoint = await beginRestore(deps, container);
  const fifos = createFifos(ioDirectory(deps), container.id, { stdin: config.stdin, terminal: config.tty });
  const ready = pumps.start(pumpSpec(deps, container, fifos));
  const settled = ready.catch(() => undefined);
  const process = { io: engineIo(fifos, config.tty), ready, runtimeHandler };
  try {
    return await withShim(deps, sandboxId, () => engine.start(container.id, process, { signal, checkpoint }));
  } finally {
    // What gives up has to find the pump, to end it.
    await settled;
    await releaseHostPaths(deps, container.id);
  }
}

async function giveUp(deps: PodDeps, container: Container, error: unknown): Promise<void> {
  const { id, record } = container;
  const { engine, pumps } = deps.containers;
  // It may run, and could not be recorded as running. Of an engine that is away it is ended when that is back.
  await withShim(deps, record.sandboxId, () => engine.endTask(id)).catch(() => undefined);
  await pumps.stop(id);
  await removeFifos(ioDirectory(deps), id);
  const now = nowNanos().toString();
  const change = { pid: 0, startedAt: now, finishedAt: now, message: messageOf(error) };
  // What the caller is told is why it does not run.
  await container
    .conclude({ phase: 'exited', ...change, exitCode: 128, reason: START_ERROR })
    .catch(() => undefined);
}

/** Where FIFOs are: on /run, as they do not survive a reboot anyway. */
export function ioDirectory(deps: Pick<PodDeps, 'settings'>): string {
  return join(deps.settings.storage.state, 'io');
}

/** How a container's output is pumped to its log. */
export function pumpSpec(deps: Pick<PodDeps, 'settings'>, container: Container, fifos: FifoPaths): PumpSpec {
  const { config, logPath, id } = container.record;
  return {
    id,
    ...(fifos.stdin === undefined ? {} : { stdin: fifos.stdin }),
    stdout: fifos.stdout,
    ...(fifos.stderr === undefined ? {} : { stderr: fifos.stderr }),
    terminal: config.tty,
    stdinOnce: config.stdinOnce,
    ...(logPath === '' ? {} : { logPath }),
    maxLineSize: deps.settings.runtime.maxContainerLogLineSize,
  };
}

/** FIFO paths as the engine wants them. */
export function engineIo({ stdin = '', stdout, stderr = '' }: FifoPaths, terminal: boolean): EngineIo {
  return { stdin, stdout, stderr, terminal };
}
