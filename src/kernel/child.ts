import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { pipe, posixSpawn, waitpid } from './libc.ts';

export interface ChildRequest {
  readonly file: string;
  readonly args?: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Working directory. */
  readonly directory: string;
}

export interface ChildExit {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly exitSignal: NodeJS.Signals | null;
}

/** Pauses between looks while its output is open; a child that holds it longer must not hide the end. */
const LOOK_MS = 20;
/** Pauses once its output is closed: it is about to end. The last one is repeated. */
const CLOSING_MS = [0, 0, 1, 1, 2, 5, 10];

/**
 * A process in a group of its own, with pipes. Started by posix_spawn: Node's own way forks, which with a daemon of 130 MB
 * stops the main thread for 4 to 6 ms each time, against half of one.
 */
export class Child {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the process itself has ended; its output may still be open. */
  readonly ended: Promise<ChildExit>;

  private constructor(pid: number, ends: { stdin: number; stdout: number; stderr: number }) {
    this.pid = pid;
    this.stdin = new Socket({ fd: ends.stdin, readable: false, writable: true });
    this.stdout = new Socket({ fd: ends.stdout, readable: true, writable: false });
    this.stderr = new Socket({ fd: ends.stderr, readable: true, writable: false });
    this.ended = this.#watch();
  }

  /** Throws a SyscallError (ENOENT, EACCES, ENOEXEC, ETXTBSY) when it cannot be started. */
  static start({ file, args = [], env, directory }: ChildRequest): Child {
    const opened: number[] = [];
    const open = (): readonly [number, number] => {
      const ends = pipe();
      opened.push(...ends);
      return ends;
    };
    const close = (...fds: readonly number[]): void => fds.forEach((fd) => closeSync(fd));
    try {
      const [stdin, stdout, stderr] = [open(), open(), open()];
      const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      const descriptors = [stdin[0], stdout[1], stderr[1]] as const;
      const pid = posixSpawn({ file, args, env: environment, directory, descriptors });
      close(...descriptors);
      return new Child(pid, { stdin: stdin[1], stdout: stdout[0], stderr: stderr[0] });
    } catch (error) {
      close(...opened);
      throw error;
    }
  }

  /** Looks for the end again and again: there is no event for it but SIGCHLD, which is libuv's. */
  async #watch(): Promise<ChildExit> {
    const closed = Promise.all([closing(this.stdout), closing(this.stderr)]);
    const output = { isClosed: false };
    void closed.then(() => (output.isClosed = true));
    for (let look = 0; ; ) {
      const status = waitpid(this.pid);
      if (status !== undefined) return exitOf(status);
      if (!output.isClosed) {
        await Promise.race([closed, pause(LOOK_MS)]);
      } else {
        await pause(CLOSING_MS[Math.min(look, CLOSING_MS.length - 1)] ?? LOOK_MS);
        look += 1;
      }
    }
  }
}

function closing(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve());
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}

/** See wait(2): the low seven bits are the signal, the next byte the exit status. */
function exitOf(status: number): ChildExit {
  const signal = status & 0x7f;
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, exitSignal: null };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return { exitCode: null, exitSignal: (name ?? 'SIGKILL') as NodeJS.Signals };
}
