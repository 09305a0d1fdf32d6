import type { Exit, Process, Processes, ProcessRef } from '../../containerd/tasks.ts';
import { sleep } from '../../lib/deadline.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { EngineTask } from './engine.ts';
import { gone } from './gone.ts';

const SIGKILL = 9;
/** How long containerd may take to notice that a shim has left: 2.5 s in all. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 1_280;
/** What containerd says when the pod's shim, its work done, went away as it was asked for something. */
const SHIM_IS_LEAVING = /dial unix \S*: connect: |ttrpc: closed/;

const STATUSES = {
  UNKNOWN: 'unknown',
  CREATED: 'created',
  RUNNING: 'running',
  STOPPED: 'ended',
  PAUSED: 'paused',
  PAUSING: 'paused',
} as const;

export function toTask({ containerId, pid, status, exitStatus, exitedAt }: Process): EngineTask {
  return {
    id: containerId,
    pid,
    status: STATUSES[status],
    exit: status === 'STOPPED' ? { exitCode: exitStatus, at: exitedAt } : undefined,
  };
}

/** One that containerd has forgotten, and whose shim has told of its end. */
export function endedTask(id: string, { exitStatus, exitedAt }: Exit): EngineTask {
  return { id, pid: 0, status: 'ended', exit: { exitCode: exitStatus, at: exitedAt } };
}

/** Whether the shim went away as it was asked: it did not hear it. */
export function isShimLeaving(error: unknown): boolean {
  return SHIM_IS_LEAVING.test(messageOf(error));
}

/**
 * As gone(), for what is asked of a task. One whose shim is just leaving, with the pod's last task, containerd still knows and cannot
 * reach: it is asked again until containerd has noticed.
 */
export async function ofTask<T>(ask: () => Promise<T>): Promise<T | undefined> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    try {
      return await gone(ask());
    } catch (error) {
      if (!isShimLeaving(error) || pauseMs > LAST_PAUSE_MS) throw error;
      await sleep(pauseMs);
    }
  }
}

/**
 * Kills a process and waits for its end, which is still to be forgotten.
 *
 * @param options isIdle tells of one that could not be killed whether it never was: what was to be restored, and was not, has no end.
 */
export async function killAndWait(
  processes: Processes,
  ref: ProcessRef,
  { isIdle, ...options }: { all?: boolean; isIdle?: () => Promise<boolean> } = {},
): Promise<void> {
  const ended = ofTask(() => processes.wait(ref));
  // It fails with the call after it when the engine goes away: that one is the error.
  ended.catch(() => undefined);
  const killed = await ofTask(async () => {
    await processes.kill(ref, SIGKILL, options);
    return true;
  });
  if (killed === undefined && (await isIdle?.()) === true) return;
  await ended;
}

/** Kills and forgets what was executed; whether its shim knows that it was started. */
export async function endExecuted(processes: Processes, ref: Required<ProcessRef>): Promise<boolean> {
  const forget = async (): Promise<boolean> => {
    const forgotten = await ofTask(() => processes.delete(ref));
    return forgotten !== undefined && forgotten.pid !== 0;
  };
  try {
    return await forget();
  } catch (error) {
    // A shim forgets what has ended or has not started, and refuses what runs, with a code of its choice.
    if (codeOf(error) === 'UNAVAILABLE') throw error;
  }
  await killAndWait(processes, ref);
  return await forget();
}
