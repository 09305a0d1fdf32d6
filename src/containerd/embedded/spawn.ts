import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identify, type ProcessIdentity } from './process.ts';

/** The service manager's messages are for Berth alone. */
const NOT_INHERITED = new Set(['NOTIFY_SOCKET', 'LISTEN_FDS', 'LISTEN_PID', 'WATCHDOG_USEC', 'WATCHDOG_PID']);

/** Sets the soft limit of open files to its first argument and becomes the rest of them. */
const WITH_SOFT_LIMIT = 'ulimit -S -n "$1"; shift; exec "$@"';

export interface SpawnOptions {
  /** Where its output is appended. */
  readonly logPath: string;
  /** Its soft limit of open files; without it the hard one, to which Node has raised its own. */
  readonly openFiles?: number | undefined;
}

export interface Spawned {
  /** undefined when it ended at once, or could not be started. */
  readonly identity: ProcessIdentity | undefined;
  /** Resolves, with how, when the process has ended. */
  readonly ended: Promise<string>;
}

/**
 * Starts a program that shall outlive us: in a session of its own, which no signal to ours reaches, and writing to a file.
 * Not through execa, which gives a child pipes and ends it with us.
 */
export function spawnDetached(
  program: string,
  args: readonly string[],
  { logPath, openFiles }: SpawnOptions,
): Spawned {
  const limited = openFiles === undefined ? [] : ['/bin/sh', '-c', WITH_SOFT_LIMIT, 'sh', String(openFiles)];
  const [file = program, ...rest] = [...limited, program, ...args];
  const output = openSync(logPath, 'a', 0o600);
  try {
    const child = spawn(file, rest, {
      cwd: '/',
      env: inheritedEnvironment(),
      detached: true,
      stdio: ['ignore', output, output],
    });
    child.unref();
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `exit code ${code}` : `signal ${signal}`),
      );
    });
    return { identity: child.pid === undefined ? undefined : identify(child.pid), ended };
  } finally {
    closeSync(output);
  }
}

function inheritedEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_INHERITED.has(name)));
}
