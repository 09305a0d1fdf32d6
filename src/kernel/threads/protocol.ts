/** The messages between the main thread and a worker. */
import type { MessagePort } from 'node:worker_threads';
import type { ErrorFacts } from './job.ts';

export interface WorkerSetup {
  readonly modules: readonly string[];
  /** Where the main thread's answers to a blocked job arrive. */
  readonly answers: MessagePort;
  /** One Int32: how many answers were sent so far; a blocked job waits for it to change. */
  readonly answered: SharedArrayBuffer;
}

export interface RunMessage {
  readonly job: string;
  readonly arg: unknown;
}

export type Outcome = { readonly value: unknown } | { readonly error: ErrorFacts };

/** `ready` once, then for each RunMessage any number of `call`, then one `done`. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'call'; readonly name: string; readonly arg: unknown }
  | { readonly kind: 'done'; readonly outcome: Outcome; readonly poisoned: boolean };
