/** The messages between the main thread and the pump thread. */
import type { MessagePort } from 'node:worker_threads';
import type { ErrorFacts } from '../kernel/threads/job.ts';
import type { OutputStream } from './cri-log.ts';
import type { ExecOutput } from './exec-output.ts';
import type { LogFileReport } from './log-file.ts';

/** The output (and stdin) of one container or exec. */
export interface PumpSpec {
  /** Container or exec id. */
  readonly id: string;
  /** Paths of FIFOs; those that are absent are not pumped. In terminal mode there is no stderr. */
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly terminal: boolean;
  /** When the first client that brings stdin has ended it, or is gone, the container's ends; not in terminal mode. */
  readonly stdinOnce?: boolean;
  /** Where the CRI log goes; without it output is only for attached clients and collectBytes. */
  readonly logPath?: string;
  /** Bytes of content at which a line is split; 16 KiB when absent, below 1 without limit. */
  readonly maxLineSize?: number;
  /** Keep so many first bytes of each stream for the end: an ExecSync. */
  readonly collectBytes?: number;
  /** A log file that cannot be opened is no failure but is tried again: its container runs already. */
  readonly running?: boolean;
}

/** When to stop waiting for the end of a released pump; both in milliseconds, and without limit when absent. */
export interface DrainLimits {
  /** Nothing came for so long: a process that outlived the container's first one holds the FIFO. */
  readonly quietMs?: number;
  readonly timeoutMs?: number;
}

export interface Drained {
  /** All streams ended; else what their holders still write is not read. */
  readonly complete: boolean;
  /** With collectBytes. */
  readonly output?: ExecOutput;
}

/** What a client takes of a container, and brings. */
export interface ClientWishes {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly stdin: boolean;
}

export type PumpReport = { readonly id: string } & (
  | LogFileReport
  /** Reading a FIFO failed; the stream is over. */
  | { readonly kind: 'read-failed'; readonly stream: OutputStream; readonly error: string }
  /** This pump, of a container that runs, could not be taken up; it is tried again. Told once. */
  | { readonly kind: 'restart-failed'; readonly error: string }
);

export type PumpRequest =
  | { readonly kind: 'start'; readonly spec: PumpSpec }
  | { readonly kind: 'reopen'; readonly id: string }
  | { readonly kind: 'drain'; readonly id: string; readonly limits: DrainLimits }
  | { readonly kind: 'stop'; readonly id: string }
  | { readonly kind: 'stop-all' }
  | {
      readonly kind: 'attach';
      readonly id: string;
      readonly wishes: ClientWishes;
      readonly port: MessagePort;
    };

export interface ToPumpThread {
  readonly serial: number;
  readonly request: PumpRequest;
}

export type FromPumpThread =
  | { readonly kind: 'done'; readonly serial: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly serial: number; readonly error: ErrorFacts }
  | { readonly kind: 'report'; readonly report: PumpReport };

/** From the pump thread to one attached client. */
export type ToClient =
  | { readonly kind: 'output'; readonly stream: OutputStream; readonly bytes: Uint8Array }
  /** All output that it wanted has ended. */
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly error: ErrorFacts }
  /** The stdin bytes were written, or could not be: the next may come. */
  | { readonly kind: 'stdin-taken'; readonly error?: ErrorFacts };

/** From one attached client to the pump thread. Closing the port detaches. */
export type FromClient =
  | { readonly kind: 'taken'; readonly bytes: number }
  | { readonly kind: 'stdin'; readonly bytes: Uint8Array }
  | { readonly kind: 'stdin-end' };
