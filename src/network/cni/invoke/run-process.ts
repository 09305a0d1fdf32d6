/**
 * One run of one executable: input on stdin, bounded output, and an end that always comes. The process leads a
 * group of its own, so that at the deadline its children die with it.
 */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Child } from '../../../kernel/child.ts';
import { sleep } from '../../../lib/deadline.ts';
import { isErrno } from '../../../lib/errors.ts';

export interface ProcessRequest {
  readonly file: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
  /** More on stdout than this, in bytes, and the group is killed. */
  readonly maxOutput: number;
  readonly onProcess?: ((process: { pid: number; startTime: string } | undefined) => void) | undefined;
}

export interface ProcessOutcome {
  readonly exitCode: number | null;
  readonly exitSignal: NodeJS.Signals | null;
  readonly stdout: string;
  /** The last 4 KiB. */
  readonly stderr: string;
  /** Set when stdout went over its bound. */
  readonly isOverflow: boolean;
}

const STDERR_TAIL = 4096;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 500;
/** How long output is still read after the process itself ended, when a child of it holds the pipe. */
const DRAIN_MS = 100;

/**
 * Runs the executable to its end. After an abort the outcome is that of the killed process: the caller looks at
 * the signal. Throws the SyscallError of a process that could not be started.
 */
export async function runProcess(request: ProcessRequest, signal: AbortSignal): Promise<ProcessOutcome> {
  signal.throwIfAborted();
  const child = Child.start({ file: request.file, env: request.env, directory: '/' });
  const { pid, ended } = child;
  request.onProcess?.({ pid, startTime: startTimeOf(pid) });
  const onAbort = (): void => void terminate(pid, ended);
  try {
    const stderr = new Tail(child.stderr);
    const stdout = new Bounded(child.stdout, request.maxOutput, () => killGroup(pid, 'SIGKILL'));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    // A plugin may end without reading its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(request.input);
    const { exitCode, exitSignal } = await ended;
    await Promise.race([Promise.all([stdout.ended, stderr.ended]), drained()]);
    return {
      exitCode,
      exitSignal,
      stdout: stdout.text(),
      stderr: stderr.text(),
      isOverflow: stdout.isOverflow,
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Children that outlived a killed leader, but not those that a plugin leaves running on purpose.
    if (signal.aborted) killGroup(pid, 'SIGKILL');
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    request.onProcess?.(undefined);
  }
}

async function terminate(pid: number, ended: Promise<unknown>): Promise<void> {
  killGroup(pid, 'SIGTERM');
  const over = new AbortController();
  void ended.then(() => over.abort());
  await sleep(GRACE_MS, over.signal);
  if (!over.signal.aborted) killGroup(pid, 'SIGKILL');
}

function killGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // EPERM: nothing is left of the group but what took other credentials; there is no one else to tell.
    if (!isErrno(error, 'ESRCH', 'EPERM')) throw error;
  }
}

/** Field 22 of /proc/PID/stat; '' when the process is gone. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** A thread that was held up finds the time over before it has looked at what came meanwhile: so that is read first. */
async function drained(): Promise<void> {
  await sleep(DRAIN_MS);
  await nextTurn();
}

function endOf(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve);
    stream.once('end', resolve);
    stream.once('error', () => resolve());
  });
}

/** The first so many bytes of a stream. */
class Bounded {
  readonly ended: Promise<void>;
  isOverflow = false;
  readonly #chunks: Buffer[] = [];

  constructor(stream: Readable, limit: number, onOverflow: () => void) {
    let size = 0;
    this.ended = endOf(stream);
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) this.#chunks.push(chunk);
      else if (!this.isOverflow) {
        this.isOverflow = true;
        onOverflow();
      }
    });
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/** The last bytes of a stream. */
class Tail {
  readonly ended: Promise<void>;
  #kept = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.ended = endOf(stream);
    stream.on('data', (chunk: Buffer) => {
      this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-STDERR_TAIL);
    });
  }

  text(): string {
    return this.#kept.toString('utf8');
  }
}
