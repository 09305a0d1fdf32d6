import { constants } from 'node:os';
import { BerthError } from '../../lib/errors.ts';
import { raceSignal, sleep } from '../../lib/deadline.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { signalNumber } from './stop-signal.ts';

/** How long a killed process may take to be reported dead: a process in the kernel's hands may take its time. */
const KILLED_MS = 120_000;

/**
 * Stops a container (CRI StopContainer): its stop signal, then after the timeout SIGKILL to all of its processes. Not running is
 * success. A second call does not send the stop signal again, and with a shorter timeout is not held up by the first.
 */
export async function stopContainer(
  deps: PodDeps,
  container: Container,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  if (container.state.phase !== 'running') return;
  const { engine } = deps.containers;
  if (timeoutSeconds > 0) {
    await sendStopSignal(deps, container, signal);
    if (await endsWithin(container, timeoutSeconds * 1_000, signal)) return;
  }
  await engine.kill(container.id, constants.signals.SIGKILL, { all: true, signal });
  if (await endsWithin(container, KILLED_MS, signal)) return;
  throw new BerthError('DEADLINE_EXCEEDED', `container "${container.id}" was killed but does not end`);
}

async function endsWithin(container: Container, ms: number, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  try {
    const first = Promise.race([
      container.ended.then(() => true),
      sleep(ms, waiting.signal).then(() => false),
    ]);
    return await raceSignal(first, signal);
  } finally {
    waiting.abort();
  }
}

/** Once. Throws INVALID_ARGUMENT for what an image says that is no signal. */
async function sendStopSignal(deps: PodDeps, container: Container, signal: AbortSignal): Promise<void> {
  const { stopSignal } = container.record;
  const number = signalNumber(stopSignal);
  if (number === undefined)
    throw new BerthError('INVALID_ARGUMENT', `invalid stop signal: "${stopSignal}" is none`);
  if (container.stopSignalled) return;
  container.stopSignalled = true;
  try {
    await deps.containers.engine.kill(container.id, number, { signal });
  } catch (error) {
    container.stopSignalled = false;
    throw error;
  }
}
