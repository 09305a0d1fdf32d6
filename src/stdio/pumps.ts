import { MessageChannel, type Transferable, Worker } from 'node:worker_threads';
import { factsToError } from '../kernel/threads/errors.ts';
import { BerthError, codeOf, messageOf } from '../lib/errors.ts';
import { type Attachment, type AttachOptions, AttachSession, type AttachStreams } from './attach.ts';
import type {
  DrainLimits,
  Drained,
  FromPumpThread,
  PumpReport,
  PumpRequest,
  PumpSpec,
  ToPumpThread,
} from './protocol.ts';

/** After the thread died by itself it is started again so much later: the FIFOs hold what is written meanwhile. */
const RESTART_MS = 1_000;
/** When to try again to take up a pump; each time after twice as long. */
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 60_000;

export interface PumpsOptions {
  /** Faults of single containers. */
  readonly onReport: (report: PumpReport) => void;
  /** The thread ended by itself, a bug or out of memory; it is started again and takes all pumps up. */
  readonly onThreadDied: (error: BerthError) => void;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The output of all containers, pumped on one thread of its own. The thread starts with the first pump. */
export class Pumps {
  readonly #options: PumpsOptions;
  /** What runs, so that another thread can take it up. */
  readonly #specs = new Map<string, PumpSpec>();
  /** The next attempt at each pump that could not be taken up. */
  readonly #retries = new Map<string, NodeJS.Timeout>();
  readonly #waiting = new Map<number, Waiting>();
  #serial = 0;
  #worker: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: PumpsOptions) {
    this.#options = options;
  }

  /**
   * Opens the FIFOs and the log file and pumps until drain or stop. Has to come before the task is created: a shim waits for
   * a reader. ALREADY_EXISTS for an id that is pumped; INTERNAL when a file cannot be opened.
   */
  async start(spec: PumpSpec): Promise<void> {
    await this.#call({ kind: 'start', spec });
    this.#specs.set(spec.id, spec);
  }

  /**
   * As start(), for a container that runs already. Resolves after the first attempt; one that fails is reported and tried again, since the
   * container comes to a stop once its FIFOs are full.
   */
  async takeUp(spec: PumpSpec): Promise<void> {
    if (this.#stopped) return;
    const worker = (this.#worker ??= this.#startThread());
    this.#specs.set(spec.id, spec);
    await this.#takeUp(worker, spec);
  }

  /** ReopenContainerLog: goes on in a new file at the log path. NOT_FOUND for an id that is not pumped. */
  async reopen(id: string): Promise<void> {
    await this.#call({ kind: 'reopen', id });
  }

  /**
   * After the task's exit: reads until nobody has the FIFOs open for writing, or a limit is reached; then writes the last
   * records and closes everything. Of an id that is not pumped nothing is left to read: incomplete, but no error. What was
   * collected is lost with its thread: UNAVAILABLE, or NOT_FOUND.
   */
  async drain(id: string, limits: DrainLimits): Promise<Drained> {
    const collects = this.#specs.get(id)?.collectBytes !== undefined;
    try {
      return await this.#drainOnce(id, limits);
    } catch (error) {
      if (collects || this.#stopped) throw error;
      if (codeOf(error) === 'NOT_FOUND') return { complete: false };
      // The thread died; the next one has taken the pump up.
      return await this.#drainOnce(id, limits);
    } finally {
      this.#forget(id);
    }
  }

  /** Ends a pump at once; what was read is written, what is in the FIFOs is left there. No error for an unknown id. */
  async stop(id: string): Promise<void> {
    this.#forget(id);
    if (this.#worker !== undefined) await this.#call({ kind: 'stop', id });
  }

  /**
   * Connects a client. Attached before the process is started (an exec), it misses nothing; else it sees the output from now on.
   * NOT_FOUND for an id that is not pumped.
   */
  async attach(id: string, streams: AttachStreams, options: AttachOptions): Promise<Attachment> {
    const { stdin, ...outputs } = streams;
    const { port1, port2 } = new MessageChannel();
    const wishes = {
      stdout: outputs.stdout !== undefined,
      stderr: outputs.stderr !== undefined,
      stdin: stdin !== undefined,
    };
    try {
      await this.#call({ kind: 'attach', id, wishes, port: port2 }, [port2]);
    } catch (error) {
      port1.close();
      throw error;
    }
    const spec = this.#specs.get(id);
    const hasStdin = stdin !== undefined && spec?.stdin !== undefined;
    return new AttachSession(port1, hasStdin ? streams : outputs, {
      ...options,
      endsContainerStdin: spec?.stdinOnce === true && !spec.terminal,
    });
  }

  /** The daemon ends: every pump is stopped as stop() does, then the thread. The containers go on. */
  async stopAll(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    for (const id of [...this.#specs.keys()]) this.#forget(id);
    const worker = this.#worker;
    if (worker === undefined) return;
    try {
      await this.#call({ kind: 'stop-all' });
    } finally {
      this.#worker = undefined;
      await worker.terminate();
    }
  }

  async #drainOnce(id: string, limits: DrainLimits): Promise<Drained> {
    return (await this.#call({ kind: 'drain', id, limits })) as Drained;
  }

  #call(request: PumpRequest, transfer: Transferable[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#stopped && request.kind !== 'stop-all') {
        reject(new BerthError('UNAVAILABLE', `failed to ${request.kind} output: the daemon is stopping`));
        return;
      }
      const worker = (this.#worker ??= this.#startThread());
      this.#post(worker, request, { resolve, reject }, transfer);
    });
  }

  #post(worker: Worker, request: PumpRequest, waiting: Waiting, transfer: Transferable[] = []): void {
    this.#serial += 1;
    this.#waiting.set(this.#serial, waiting);
    // Only a caller that waits keeps the process alive.
    worker.ref();
    worker.postMessage({ serial: this.#serial, request } satisfies ToPumpThread, transfer);
  }

  /** A thread with all pumps that a thread before it had. */
  #startThread(): Worker {
    clearTimeout(this.#restart);
    const worker = new Worker(new URL('./pump-thread.js', import.meta.url), { name: 'pumps' });
    let failure: unknown;
    worker.on('message', (message: FromPumpThread) => this.#receive(worker, message));
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#died(failure);
    });
    for (const spec of this.#specs.values()) {
      if (spec.collectBytes === undefined) void this.#takeUp(worker, spec);
    }
    return worker;
  }

  #takeUp(worker: Worker, spec: PumpSpec, pauseMs = FIRST_PAUSE_MS): Promise<void> {
    const request = { kind: 'start', spec: { ...spec, running: true } } as const;
    const started = new Promise((resolve, reject) => this.#post(worker, request, { resolve, reject }));
    return started.then(
      () => undefined,
      (error: unknown) => this.#takeUpLater(worker, spec, pauseMs, error),
    );
  }

  #takeUpLater(worker: Worker, spec: PumpSpec, pauseMs: number, error: unknown): void {
    const { id } = spec;
    // The next thread takes up what one that has died had.
    if (codeOf(error) === 'ALREADY_EXISTS' || this.#worker !== worker || this.#specs.get(id) !== spec) return;
    if (pauseMs === FIRST_PAUSE_MS)
      this.#options.onReport({ id, kind: 'restart-failed', error: messageOf(error) });
    const retry = (): void => {
      if (this.#worker === worker) void this.#takeUp(worker, spec, Math.min(2 * pauseMs, LAST_PAUSE_MS));
    };
    clearTimeout(this.#retries.get(id));
    this.#retries.set(id, setTimeout(retry, pauseMs).unref());
  }

  #forget(id: string): void {
    this.#specs.delete(id);
    clearTimeout(this.#retries.get(id));
    this.#retries.delete(id);
  }

  #receive(worker: Worker, message: FromPumpThread): void {
    if (message.kind === 'report') {
      this.#options.onReport(message.report);
      return;
    }
    const waiting = this.#waiting.get(message.serial);
    this.#waiting.delete(message.serial);
    if (this.#waiting.size === 0) worker.unref();
    if (message.kind === 'done') waiting?.resolve(message.value);
    else waiting?.reject(factsToError(message.error));
  }

  #died(failure: unknown): void {
    this.#worker = undefined;
    const cause = failure === undefined ? 'it exited' : messageOf(failure);
    const error = new BerthError('UNAVAILABLE', `pump thread failed: ${cause}`, { cause: failure });
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#options.onThreadDied(error);
    if (this.#stopped || this.#specs.size === 0) return;
    this.#restart = setTimeout(() => {
      this.#worker ??= this.#startThread();
    }, RESTART_MS);
  }
}
