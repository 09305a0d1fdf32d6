import { codeOf, messageOf } from '../../lib/errors.ts';
import { nowNanos } from '../../lib/time.ts';
import { removeFifos } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineExit, EngineTask } from '../engine/engine.ts';
import { endPause, livesByPause } from '../sandbox/pause.ts';
import { stopHeld } from '../sandbox/stop.ts';
import { removeUnfinished } from './checkpoint.ts';
import type { Container } from './container.ts';
import { settleStart } from './cut-off-start.ts';
import { discard } from './discard.ts';
import { removeOwnerless } from './ownerless.ts';
import { endRestore } from './restore.ts';
import { withShim } from './shim-lock.ts';
import { OomKills } from './oom-kills.ts';
import { ioDirectory } from './start.ts';

/** After the end of a container's process, how long a child of it that holds its output may keep us reading. */
const DRAIN = { quietMs: 2_000, timeoutMs: 10_000 };
/** When to compare again what could not be settled, or the engine did not know; each time after twice as long. */
const FIRST_PAUSE_MS = 5_000;
const LAST_PAUSE_MS = 60_000;

/**
 * Follows the engine's events and keeps the records true. Events may be lost, so after each subscription all tasks are
 * compared: a RUNNING record without a task is EXITED, 255, Unknown, and a task without a RUNNING record is of a start that was cut off.
 */
export class ExitMonitor {
  readonly #deps: PodDeps;
  readonly #stopping = new AbortController();
  #done: Promise<void> = Promise.resolve();
  readonly #halfMade: Set<Container>;
  #lookAgain: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  readonly #oomKills = new OomKills();

  /** @param halfMade what recovery found: forgotten by the engine as soon as it answers. */
  constructor(deps: PodDeps, halfMade: readonly Container[] = []) {
    this.#deps = deps;
    this.#halfMade = new Set(halfMade);
  }

  start(): void {
    this.#done = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#lookAgain);
    await this.#done;
  }

  /** Makes the records true. What cannot be done now is done in a while; when the engine has gone away, once it is back. */
  async #reconcile(): Promise<void> {
    clearTimeout(this.#lookAgain);
    this.#lookAgain = undefined;
    const reconcile = async (): Promise<void> => {
      const isAllForgotten = await this.#forgetHalfMade();
      const isAllKnown = await this.#compare();
      if (!isAllForgotten || !isAllKnown) this.#reconcileAgain();
    };
    await this.#orAgain('failed to compare tasks', {}, reconcile());
  }

  #reconcileAgain(): void {
    if (this.#lookAgain !== undefined || this.#stopping.signal.aborted) return;
    this.#lookAgain = setTimeout(() => void this.#reconcile(), this.#pauseMs).unref();
    this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_PAUSE_MS);
  }

  /** Whether none is left. One that stays does not keep the others from being looked at. */
  async #forgetHalfMade(): Promise<boolean> {
    for (const container of [...this.#halfMade]) {
      try {
        await discard(this.#deps, container);
        await container.forget();
        this.#halfMade.delete(container);
      } catch (error) {
        if (codeOf(error) === 'UNAVAILABLE') throw error;
        const facts = { container: container.id, error: messageOf(error) };
        this.#deps.log.warn('failed to remove a container that was half made', facts);
      }
    }
    return this.#halfMade.size === 0;
  }

  /** Compares the records with the engine's tasks; whether it knew of each of them how it is: a shim that is stuck, or has no time, says nothing. */
  async #compare(): Promise<boolean> {
    const { engine, store } = this.#deps.containers;
    // Whom we believe running is noted first: one that starts while we ask is not among the answers.
    const paused = this.#deps.store.all().filter((sandbox) => sandbox.state.pausePid !== 0);
    const believed = store.all().filter((container) => container.state.phase === 'running');
    const others = store.all().filter(({ state }) => state.phase !== 'running');
    const since = nowNanos();
    const tasks = new Map((await engine.tasks()).map((task) => [task.id, task]));
    for (const { id } of paused) if (hasEnded(tasks.get(id))) this.#pauseEnded(id);
    for (const container of others) {
      const task = tasks.get(container.id);
      if (task !== undefined) this.#settleStart(container, task, since);
    }
    for (const container of [...believed, ...others])
      this.#settleCheckpoint(container, tasks.get(container.id));
    await Promise.all(
      believed.map(async (container) => {
        const task = tasks.get(container.id);
        if (hasEnded(task)) await this.#recordEnd(container, task?.exit);
      }),
    );
    const isAllRecorded = believed.every(
      ({ id, state }) => state.phase !== 'running' || !hasEnded(tasks.get(id)),
    );
    if (isAllRecorded) engine.compared();
    const known = [...paused, ...believed, ...others];
    return known.every(({ id }) => tasks.get(id)?.status !== 'unknown');
  }

  async #follow(): Promise<void> {
    const { containers, log } = this.#deps;
    for await (const event of containers.engine.events(this.#stopping.signal)) {
      try {
        if (event.kind === 'subscribed') {
          this.#pauseMs = FIRST_PAUSE_MS;
          await this.#reconcile();
          containers.executions.endAbandoned();
          this.#removeOwnerless();
          continue;
        }
        const container = containers.store.byId(event.id);
        if (container === undefined) {
          this.#pauseEnded(event.id);
          continue;
        }
        if (event.kind === 'oom') await this.#outOfMemory(container);
        else void this.#recordEnd(container, event.exit);
      } catch (error) {
        log.error('failed to follow the engine', { error: messageOf(error) });
      }
    }
  }

  /** Not waited for: who holds a sandbox may himself be waiting for an event. */
  #removeOwnerless(): void {
    removeOwnerless(this.#deps).catch((error: unknown) => {
      // The engine went away: once more when it is back.
      this.#deps.log.warn('failed to look for containers without a record', { error: messageOf(error) });
    });
  }

  /**
   * A pause process that somebody killed: the next container that needs one gets another, and a sandbox that lives by it has ended. Not
   * waited for: who holds the sandbox may himself be waiting for an event.
   */
  #pauseEnded(id: string): void {
    const { store, locks, log } = this.#deps;
    const sandbox = store.byId(id);
    if (sandbox?.state.phase !== 'ready' || sandbox.state.pausePid === 0) return;
    const { pausePid } = sandbox.state;
    log.warn('pause process ended', { sandbox: id, pid: pausePid });
    const forget = async (): Promise<void> => {
      if (sandbox.state.pausePid !== pausePid) return;
      await endPause(this.#deps, sandbox);
      if (!livesByPause(this.#deps, sandbox.record)) return;
      await sandbox.update({ reason: 'its pause process ended' });
      await stopHeld(this.#deps, sandbox, Infinity);
    };
    void this.#orAgain('failed to forget a pause process', { sandbox: id }, locks.with(id, forget));
  }

  /** Not waited for: who holds the sandbox may himself be waiting for an event. */
  #settleStart(container: Container, task: EngineTask, since: bigint): void {
    const settle = async (): Promise<void> => {
      const isRunning = await settleStart(this.#deps, container, { task, since });
      if (isRunning && hasEnded(task)) await this.#ended(container, task.exit);
    };
    const failed = 'failed to settle a start that was cut off';
    void this.#orAgain(failed, { container: container.id }, settle());
  }

  /**
   * A checkpoint that was cut off: nothing else makes a container of ours stand still. One that is under way holds the lock, and while CRIU is
   * at it nobody knows how its task is.
   */
  #settleCheckpoint(container: Container, task: EngineTask | undefined): void {
    if (task?.status === 'unknown') return;
    const { containers, locks } = this.#deps;
    const settle = async (): Promise<void> => {
      if (task?.status === 'paused') await containers.engine.resume(container.id);
      await removeUnfinished(this.#deps, container);
      if (container.state.phase !== 'created') await endRestore(this.#deps, container);
    };
    const failed = 'failed to settle a checkpoint that was cut off';
    void this.#orAgain(failed, { container: container.id }, locks.with(`container ${container.id}`, settle));
  }

  #recordEnd(container: Container, exit: EngineExit | undefined): Promise<void> {
    const failed = 'failed to record the end of a container';
    return this.#orAgain(failed, { container: container.id }, this.#ended(container, exit));
  }

  /** What fails is reported, and for the next comparison. */
  async #orAgain(failed: string, what: Record<string, string>, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#deps.log.error(failed, { ...what, error: messageOf(error) });
      if (codeOf(error) !== 'UNAVAILABLE') this.#reconcileAgain();
    }
  }

  /** One end is recorded once, whoever tells of it first. */
  #ended(container: Container, exit: EngineExit | undefined): Promise<void> {
    const { containers, locks, store, events, settings } = this.#deps;
    return locks.with(`container ${container.id}`, async () => {
      if (container.state.phase !== 'running') return;
      await containers.pumps.drain(container.id, DRAIN);
      await removeFifos(ioDirectory({ settings }), container.id);
      const { id, record } = container;
      const wasOomKilled = this.#wasOomKilled(container, exit?.exitCode);
      if (exit?.exitCode !== 0) container.oomKilled ||= wasOomKilled;
      try {
        await container.conclude({ phase: 'exited', pid: 0, ...described(exit, container.oomKilled) });
        // It may have been told while that was written.
        if (container.oomKilled) await this.#outOfMemory(container);
      } finally {
        const sandbox = store.find(record.sandboxId);
        if (sandbox !== undefined) events.publish('CONTAINER_STOPPED_EVENT', sandbox, id);
      }
      // Once that is recorded: until then the engine alone can tell the next Berth how it ended.
      await withShim(this.#deps, record.sandboxId, () => containers.engine.deleteTask(id));
    });
  }

  /**
   * By the kernel's own counts: a shim that leaves with its last container may not have told the engine yet, or has lost the race
   * against systemd, which removes a scope that is empty. To be asked before the task is deleted.
   */
  #wasOomKilled(container: Container, exitCode: number | undefined): boolean {
    const { store, containers } = this.#deps;
    const { id, record } = container;
    const sandbox = store.find(record.sandboxId);
    const others = containers.store
      .all()
      .filter((each) => each !== container && each.record.sandboxId === record.sandboxId);
    const ended = {
      id,
      parent: sandbox?.record.cgroupParent ?? '',
      exitCode,
      others: others.filter(({ state }) => state.phase === 'running').map((each) => each.id),
      isFirst:
        sandbox?.record.config.metadata?.attempt === 0 &&
        record.config.metadata?.attempt === 0 &&
        others.every(({ state }) => state.phase !== 'exited'),
    };
    return this.#oomKills.wasIn(ended, sandbox ?? container);
  }

  /** The engine's word may come after the exit. */
  async #outOfMemory(container: Container): Promise<void> {
    container.oomKilled = true;
    const { phase, exitCode, reason } = container.state;
    if (phase === 'exited' && exitCode !== 0 && reason !== 'OOMKilled')
      await container.update({ reason: 'OOMKilled' });
  }
}

function hasEnded(task: EngineTask | undefined): boolean {
  return task === undefined || task.status === 'ended';
}

function described(
  exit: EngineExit | undefined,
  oomKilled: boolean,
): { exitCode: number; finishedAt: string; reason: string } {
  if (exit === undefined) return { exitCode: 255, finishedAt: nowNanos().toString(), reason: 'Unknown' };
  const failed = oomKilled ? 'OOMKilled' : 'Error';
  return {
    exitCode: exit.exitCode,
    finishedAt: exit.at.toString(),
    reason: exit.exitCode === 0 ? 'Completed' : failed,
  };
}
