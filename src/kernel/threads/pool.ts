import { BerthError, wrap } from '../../lib/errors.ts';
import { factsToError } from './errors.ts';
import { HANDED_OVER_MOST, type Outcome } from './protocol.ts';
import { Thread, type ThreadEvents } from './thread.ts';

/** Serves the calls that jobs make to the main thread. The signal is the one of the job's caller. */
export type Serve = (arg: unknown, signal: AbortSignal) => Promise<unknown>;

export interface ThreadPoolOptions {
  /** Shown as the threads' names: `<name>-0`, `<name>-1`… */
  readonly name: string;
  /** At most so many threads. Each starts with its first job (about 50 ms) and stays. */
  readonly size: number;
  /** Compiled modules that export `jobs` (see JobsModule), loaded by every thread. */
  readonly modules: readonly URL[];
  readonly serve?: Readonly<Record<string, Serve>>;
}

export interface CallOptions {
  /** Jobs with the same string run on the same thread, in the order of their calls: they never run at the same time. */
  readonly affinity?: string;
  /**
   * Drops a job that has not begun. A running one cannot be stopped: the caller's promise is rejected with the reason at once, the
   * thread stays busy until the job ends by itself, and what it returns is lost. See onSettled.
   */
  readonly signal?: AbortSignal;
  /**
   * Called once, when the job has really ended or never began. What undoes a job has to wait for this: until then the job
   * may still be making what is to be undone.
   */
  readonly onSettled?: () => void;
}

/** How long threads may take to end, in milliseconds. */
const END_MS = 500;

interface Task {
  /** Counts up from call to call. */
  readonly number: number;
  readonly job: string;
  readonly arg: unknown;
  readonly signal: AbortSignal;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The job has ended or will not begin; told once, a dropped job's thread answers for it a second time. */
  readonly settled: () => void;
  readonly isSettled: () => boolean;
  /** Once it is handed over: see Thread.run. */
  drop?: () => boolean;
}

interface Slot {
  readonly index: number;
  /** Jobs whose affinity is this thread's. */
  readonly queue: Task[];
  thread: Thread | undefined;
  /** What the thread has: the first one runs, or was dropped. */
  readonly handed: Task[];
}

/** A signal of its own for each call without one: what is served may listen to it. */
function never(): AbortSignal {
  return new AbortController().signal;
}

/** A few worker threads that run synchronous jobs. An idle pool does not keep the process alive. */
export class ThreadPool {
  private readonly options: ThreadPoolOptions;
  private readonly slots: readonly Slot[];
  /** Jobs without affinity, in the order of their calls: the next thread that is free takes one. */
  private readonly queue: Task[] = [];
  private calls = 0;
  private stopped = false;
  /** Told when no job runs any more. */
  private readonly idle: (() => void)[] = [];

  constructor(options: ThreadPoolOptions) {
    this.options = options;
    this.slots = Array.from({ length: options.size }, (_, index) => ({
      index,
      queue: [],
      thread: undefined,
      handed: [],
    }));
  }

  /** Starts the threads now rather than with their first jobs, which also tell when that is not possible. */
  start(): void {
    for (const slot of this.slots) {
      try {
        slot.thread ??= this.startThread(slot);
      } catch {
        return;
      }
    }
  }

  /**
   * Runs a job and brings what it returned, or throws what it threw: a BerthError or SyscallError as
   * itself, others as an Error with the same name, message and plain properties. UNAVAILABLE after stop(), RESOURCE_EXHAUSTED when
   * the thread that it needs cannot be started.
   */
  call(job: string, arg: unknown, options: CallOptions = {}): Promise<unknown> {
    const { signal = never(), onSettled = () => undefined } = options;
    return new Promise((resolve, reject) => {
      if (this.stopped || signal.aborted) {
        onSettled();
        reject(this.stopped ? stoppedError(this.options.name, job) : asError(signal.reason));
        return;
      }
      const { affinity } = options;
      const slot = affinity === undefined ? this.free() : this.slotOf(affinity);
      const queue = affinity === undefined ? this.queue : slot.queue;
      const aborted = () => {
        const at = queue.indexOf(task);
        if (at >= 0) {
          queue.splice(at, 1);
        }
        if (at >= 0 || task.drop?.() === true) {
          task.settled();
        }
        reject(asError(signal.reason));
      };
      let isSettled = false;
      const settled = () => {
        if (isSettled) return;
        isSettled = true;
        signal.removeEventListener('abort', aborted);
        onSettled();
      };
      this.calls += 1;
      const number = this.calls;
      const task: Task = {
        ...{ number, job, arg, signal, resolve, reject, settled },
        isSettled: () => isSettled,
      };
      signal.addEventListener('abort', aborted, { once: true });
      queue.push(task);
      this.next(slot);
    });
  }

  /**
   * Refuses new jobs and drops queued ones, waits up to graceMs for the running ones, then ends the threads. A job that is
   * still at work then is ended with its thread, and fails as UNAVAILABLE. One that waits for a tool or inside a system call cannot be
   * ended and is not waited for: the process has to end without its threads.
   */
  async stop(graceMs = 3000): Promise<void> {
    this.stopped = true;
    const refuse = (task: Task): void => task.reject(stoppedError(this.options.name, task.job));
    const behind = this.slots.flatMap(({ handed }) =>
      handed.slice(1).filter(({ drop }) => drop?.() === true),
    );
    for (const task of [
      ...behind,
      ...this.slots.flatMap(({ queue }) => queue.splice(0)),
      ...this.queue.splice(0),
    ]) {
      task.settled();
      refuse(task);
    }
    await this.runningJobs(graceMs);
    const ended = Promise.all(this.slots.map((slot) => this.endThread(slot)));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, END_MS).unref())]);
    for (const slot of this.slots) this.finishAll(slot, refuse);
  }

  /** Waits until no job runs, or the time is over. */
  private async runningJobs(graceMs: number): Promise<void> {
    if (this.slots.every(({ handed }) => handed.length === 0)) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** How many jobs wait or run: what a metric shows. */
  get pending(): number {
    return this.slots.reduce((sum, slot) => sum + load(slot), this.queue.length);
  }

  private slotOf(affinity: string): Slot {
    return this.slots[hash(affinity) % this.slots.length] ?? this.none();
  }

  /** Least busy first; among those a thread that already runs, as a new one takes its time to start. */
  private free(): Slot {
    const [best] = this.slots.toSorted(
      (a, b) => load(a) - load(b) || Number(a.thread === undefined) - Number(b.thread === undefined),
    );
    return best ?? this.none();
  }

  private none(): never {
    throw new RangeError(`thread pool "${this.options.name}" has size 0`);
  }

  /** Hands over what the thread may have. */
  private next(slot: Slot): void {
    for (let task = this.take(slot); task !== undefined; task = this.take(slot)) {
      this.handOver(slot, task);
    }
    if (slot.handed.length > 0) {
      return;
    }
    slot.thread?.rest();
    if (this.slots.every(({ handed }) => handed.length === 0)) {
      for (const tell of this.idle.splice(0)) {
        tell();
      }
    }
  }

  /** The oldest that may run here. A busy thread takes none that another may be free for sooner. */
  private take(slot: Slot): Task | undefined {
    if (slot.handed.length >= HANDED_OVER_MOST) return undefined;
    const [own] = slot.queue;
    const [anyones] = slot.handed.length === 0 ? this.queue : [];
    const isOlder = anyones !== undefined && (own === undefined || anyones.number < own.number);
    return (isOlder ? this.queue : slot.queue).shift();
  }

  private handOver(slot: Slot, task: Task): void {
    try {
      slot.thread ??= this.startThread(slot);
      task.drop = slot.thread.run(task.job, task.arg);
      slot.handed.push(task);
    } catch (error) {
      // There is no thread, or the argument cannot be copied: the job never began.
      task.settled();
      task.reject(error);
    }
  }

  /** The first job that the thread had has ended. */
  private finish(slot: Slot, answer: (task: Task) => void): void {
    const task = slot.handed.shift();
    if (task !== undefined) {
      task.settled();
      answer(task);
    }
    this.next(slot);
  }

  private finishAll(slot: Slot, answer: (task: Task) => void): void {
    for (const task of slot.handed.splice(0)) {
      task.settled();
      answer(task);
    }
    this.next(slot);
  }

  /** Gives back to the queue what a thread had besides its first job and cannot have begun; what was dropped is over. */
  private takeBack(slot: Slot): void {
    for (const task of slot.handed.splice(1)) {
      delete task.drop;
      if (!task.isSettled()) slot.queue.unshift(task);
    }
  }

  private startThread(slot: Slot): Thread {
    const thread: Thread = this.newThread(`${this.options.name}-${slot.index}`, {
      serve: (name, arg) => this.serve(slot, name, arg),
      done: (outcome, poisoned) => {
        if (poisoned) {
          this.takeBack(slot);
          void this.endThread(slot);
        }
        this.finish(slot, (task) => this.answer(task, outcome));
      },
      died: (error) => {
        if (slot.thread === thread) {
          slot.thread = undefined;
          this.takeBack(slot);
        }
        this.finish(slot, (task) => task.reject(error));
      },
    });
    return thread;
  }

  /** Throws RESOURCE_EXHAUSTED when the node has no room for another: no memory, or no pid. */
  private newThread(name: string, events: ThreadEvents): Thread {
    try {
      return new Thread(name, this.options.modules, events);
    } catch (error) {
      throw wrap(`failed to start thread "${name}"`, error, 'RESOURCE_EXHAUSTED');
    }
  }

  private async endThread(slot: Slot): Promise<void> {
    const thread = slot.thread;
    slot.thread = undefined;
    await thread?.end();
  }

  private async serve(slot: Slot, name: string, arg: unknown): Promise<unknown> {
    const serve = this.options.serve?.[name];
    if (serve === undefined) {
      throw new Error(`thread pool "${this.options.name}" serves no "${name}"`);
    }
    return serve(arg, slot.handed[0]?.signal ?? never());
  }

  private answer(task: Task, outcome: Outcome): void {
    if ('error' in outcome) {
      task.reject(factsToError(outcome.error));
    } else {
      task.resolve(outcome.value);
    }
  }
}

function load(slot: Slot): number {
  return slot.queue.length + slot.handed.length;
}

/** FNV-1a: spreads short strings well enough over a handful of threads. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new BerthError('CANCELLED', String(reason));
}

function stoppedError(pool: string, job: string): BerthError {
  return new BerthError('UNAVAILABLE', `failed to run job "${job}": threads of "${pool}" are stopped`);
}
