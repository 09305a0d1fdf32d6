/** A job: plain synchronous code that runs on a worker thread. What it takes and returns is copied (structured clone). */
export type Job = (arg: unknown, main: MainCaller) => unknown;

/** The way from a job back to the main thread. */
export interface MainCaller {
  /**
   * Asks the main thread to serve `name` and blocks this thread until it has answered: returns its result, or throws
   * its error. Nothing else runs on this thread meanwhile.
   */
  call(name: string, arg: unknown): unknown;
}

/** What a jobs module exports. */
export interface JobsModule {
  readonly jobs: Readonly<Record<string, Job>>;
}

/** An error as it crosses between threads: its class by name, and its plain own properties. */
export interface ErrorFacts {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Own enumerable properties that are JSON values: code, details, meta… */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly cause?: ErrorFacts;
}

/** A job's thread can do no more work: it could not go back to its own namespaces. See poisonThread. */
export class ThreadPoisonedError extends Error {
  override readonly name = 'ThreadPoisonedError';
}

/** A fact of the calling thread, so kept per thread; the error alone could be caught on its way. */
let poisoned = false;

/** Marks the calling thread and throws: the pool ends it after this job, whatever the job does with the error. */
export function poisonThread(message: string, cause: unknown): never {
  poisoned = true;
  throw new ThreadPoisonedError(message, { cause });
}

/** True once poisonThread was called on the calling thread. */
export function isThreadPoisoned(): boolean {
  return poisoned;
}
