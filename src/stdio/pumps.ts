import { MessageChannel, type Transferable, Worker } from 'node:worker_threads';
import { errorToFacts, factsToError } from '../kernel/threads/errors.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
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

  /** ReopenContainerLog: goes on in a new file at the log path. NOT_FOUND for an id that is not pumped. */
  async reopen(id: string): Promise<void> {
    await this.#call({ kind: 'reopen', id });
  }

  /**
   * After the task's exit: reads until nobody has the FIFOs open for writing, or a limit is reached; then writes the last
   * records and closes everything. NOT_FOUND for an id that is not pumped.
   */
  async drain(id: string, limits: DrainLimits): Promise<Drained> {
    const drained = (await this.#call({ kind: 'drain', id, limits })) as Drained;
    this.#specs.delete(id);
    return drained;
  }

  /** Ends a pump at once; what was read is written, what is in the FIFOs is left there. No error for an unknown id. */
  async stop(id: string): Promise<void> {
    this.#specs.delete(id);
    if (this.#worker !== undefined) await this.#call({ kind: 'stop', id });
  }

  /**
   * Connects a client. Attached before the process is started (an exec), it misses nothing; else it sees the output from now on.
   * NOT_FOUND for an id that is not pumped.
   */
  async attach(id: string, streams: AttachStreams, options: AttachOptions): Promise<Attachment> {
    const spec = this.#specs.get(id);
    const { stdout, stderr } = streams;
    const stdin = spec?.stdin === undefined ? undefined : streams.stdin;
    const { port1, port2 } = new MessageChannel();
    const wishes = {
      stdout: stdout !== undefined,
      stderr: stderr !== undefined,
      stdin: stdin !== undefined,
      slow: options.slow ?? 'drop',
    };
    try {
      await this.#call({ kind: 'attach', id, wishes, port: port2 }, [port2]);
    } catch (error) {
      port1.close();
      throw error;
    }
    const endsWithStdin = spec?.stdinOnce !== true || spec.terminal;
    return new AttachSession(
      port1,
      { ...streams, ...(stdin === undefined && { stdin: undefined }) },
      { signal: options.signal, endsWithStdin },
    );
  }

  /** The daemon ends: every pump is stopped as stop() does, then the thread. The containers go on. */
  async stopAll(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    if (this.#worker === undefined) return;
    await this.#call({ kind: 'stop-all' });
    this.#specs.clear();
    const worker = this.#worker;
    this.#worker = undefined;
    await worker.terminate();
  }
}
