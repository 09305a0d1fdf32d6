import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { ticksSinceBoot } from '../../containerd/embedded/process.ts';
import { messageOf } from '../../lib/errors.ts';
import { newId } from '../../lib/id.ts';
import type { Logger } from '../../lib/log.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import { DIRECT_READ_BYTES, DirectStreams } from '../../stdio/direct.ts';
import { createFifos, fifoPaths, type FifoPaths, removeFifos } from '../../stdio/fifos.ts';
import type { Engine, EngineExec } from '../engine/engine.ts';
import { engineIo } from './start.ts';

/** What names the FIFOs of a process that is executed: a later Berth can tell whose they are. containerd takes 76 characters of an id. */
const EXECUTION_ID = /^([0-9a-f]{64})\.([0-9a-f]{32})$/;
const EXEC_ID_LENGTH = 32;
/** When to try once more to end one that could not be ended; each time after twice as long. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;

/** Who takes the output of a process. */
export interface Listener {
  /** Once it has ended, or might never. */
  close(): Promise<void> | void;
}

export interface Execution<Listening extends Listener> {
  readonly spec: RuntimeSpec['process'];
  readonly stdin: boolean;
  /** Has its output taken, from the FIFOs of this id; it does not start before. */
  readonly listen: (id: string, fifos: FifoPaths) => Promise<Listening>;
}

/** One that nobody waits for, and that could not be ended yet. */
interface Abandoned {
  /** In ticks since boot. */
  readonly lostAt: number;
  readonly tries: number;
  /** Absent where the engine has not been asked yet. */
  readonly next?: NodeJS.Timeout;
}

export interface ExecutionsOptions {
  readonly engine: Engine;
  /** Where FIFOs are. */
  readonly directory: string;
  readonly log: Logger;
}

/**
 * The processes that are executed in containers. Each lives as long as its client: the directory of its FIFOs is there from before it is
 * made until the engine has forgotten it, so that what a killed Berth has left running is found, and ended, by the next one.
 */
export class Executions {
  /** For whoever reads their output on this thread. */
  readonly buffer = Buffer.allocUnsafeSlow(DIRECT_READ_BYTES);
  readonly #options: ExecutionsOptions;
  readonly #abandoned = new Map<string, Abandoned>();
  readonly #ending = new Set<Promise<void>>();
  #isStopping = false;

  constructor(options: ExecutionsOptions) {
    this.#options = options;
  }

  /** Notes what a former process has left. To be called while nothing is executed. */
  async recover(): Promise<void> {
    const ids = await readdir(this.#options.directory).catch(() => []);
    const lost = { lostAt: ticksSinceBoot(), tries: 0 };
    for (const id of ids.filter((one) => isExecution(one))) this.#abandoned.set(id, lost);
  }

  /**
   * Starts a process in a container and returns what `use` makes of it. Afterwards it is forgotten; one that `use` threw away is killed
   * first, and its end waited for.
   */
  async run<Listening extends Listener, Result>(
    containerId: string,
    { spec, stdin, listen }: Execution<Listening>,
    use: (process: EngineExec, listening: Listening) => Promise<Result>,
  ): Promise<Result> {
    const { engine, directory } = this.#options;
    let ready: Promise<Listening> | undefined;
    const terminal = spec.terminal === true;
    const execId = newId().slice(0, EXEC_ID_LENGTH);
    const id = `${containerId}.${execId}`;
    try {
      const fifos = createFifos(directory, id, { stdin, terminal });
      // It is made meanwhile.
      ready = listen(id, fifos);
      ready.catch(() => undefined);
      const io = engineIo(fifos, terminal);
      const process = await engine.exec(containerId, execId, { spec, io, ready });
      const result = await use(process, await ready);
      void this.#end(id, ready);
      return result;
    } catch (error) {
      await this.#end(id, ready);
      throw error;
    }
  }

  /** To be called whenever the engine answers again. */
  endAbandoned(): void {
    for (const id of [...this.#abandoned.keys()]) this.#endAgain(id);
  }

  /** Resolves when what is being ended has ended; what could not be ended is left to the next process. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { next } of this.#abandoned.values()) clearTimeout(next);
    await Promise.all(this.#ending);
  }

  #endAgain(id: string): void {
    const abandoned = this.#abandoned.get(id);
    if (abandoned === undefined || this.#isStopping) return;
    this.#abandoned.delete(id);
    clearTimeout(abandoned.next);
    void this.#end(id, this.#discardOutput(id), abandoned);
  }

  /** Not by the engine's return alone: it also answers when a task is just ending, or its shim is stuck. */
  #abandon(id: string, { lostAt, tries }: Abandoned): void {
    if (this.#isStopping) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** tries, LAST_PAUSE_MS);
    const next = setTimeout(() => this.#endAgain(id), pauseMs).unref();
    this.#abandoned.set(id, { lostAt, tries: tries + 1, next });
  }

  /** A shim does not forget a process, or takes its time, while what it wrote can go nowhere. */
  async #discardOutput(id: string): Promise<Listener> {
    const { directory } = this.#options;
    const terminal = !existsSync(join(directory, id, 'stderr'));
    const discard = (): void => undefined;
    const client = {
      stdout: discard,
      stderr: discard,
      stdin: undefined,
      signal: new AbortController().signal,
    };
    return new DirectStreams(fifoPaths(directory, id, { stdin: false, terminal }), client, this.buffer);
  }

  #end(id: string, listener?: Promise<Listener>, abandoned?: Abandoned): Promise<void> {
    // It is looked at after the end of the process.
    listener?.catch(() => undefined);
    const ending = this.#endOne(id, listener, abandoned).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
    return ending;
  }

  async #endOne(
    id: string,
    listener: Promise<Listener> | undefined,
    abandoned: Abandoned | undefined,
  ): Promise<void> {
    const { engine, directory, log } = this.#options;
    const now = ticksSinceBoot();
    // Who waits for the outcome is told first.
    await turn();
    const [, containerId = '', execId = ''] = EXECUTION_ID.exec(id) ?? [];
    try {
      try {
        await engine.endExec(containerId, execId, { lostAt: abandoned?.lostAt });
      } finally {
        const listening = await listener?.catch(() => undefined);
        await listening?.close();
      }
      await removeFifos(directory, id);
    } catch (error) {
      this.#abandon(id, abandoned ?? { lostAt: now, tries: 0 });
      log.warn('a command is not ended yet', {
        container: containerId,
        exec: execId,
        error: messageOf(error),
      });
    }
  }
}

/** Whether FIFOs of this id are those of a process that is executed, and not of a container. */
export function isExecution(id: string): boolean {
  return EXECUTION_ID.test(id);
}
