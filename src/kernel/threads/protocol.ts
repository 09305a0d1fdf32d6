/** The messages between the main thread and a worker. */
import type { MessagePort } from 'node:worker_threads';
import type { ErrorFacts } from './job.ts';

export interface WorkerSetup {
  readonly modules: readonly string[];
  /** Where the main thread's answers to a blocked job arrive. */
  readonly answers: MessagePort;
  /** One Int32: how many answers were sent so far; a blocked job waits for it to change. */
  readonly answered: SharedArrayBuffer;
  /** HANDED_OVER_MOST Int32: one of Ticket for each job that was handed over. */
  readonly tickets: SharedArrayBuffer;
}

/** How many jobs a thread has at most: one that runs, and one that follows without the main thread between them. */
export const HANDED_OVER_MOST = 2;

/** What became of a job that was handed over; whoever changes `waiting` first, decides. */
export const Ticket = { waiting: 0, begun: 1, dropped: 2 } as const;

export interface RunMessage {
  readonly job: string;
  readonly arg: unknown;
  /** Index of its ticket. */
  readonly ticket: number;
}

export type Outcome = { readonly value: unknown } | { readonly error: ErrorFacts };

/** `ready` once, then for each RunMessage in order any number of `call`, then one `done`; only a `done` for one that was dropped. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'call'; readonly name: string; readonly arg: unknown }
  | { readonly kind: 'done'; readonly outcome: Outcome; readonly poisoned: boolean };
