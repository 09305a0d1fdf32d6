import { spawnSync } from 'node:child_process';
import { BerthError, isErrno, messageOf } from '../lib/errors.ts';

/** Rulesets of big nodes have some ten megabytes. */
const MAX_OUTPUT = 64 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

export interface ToolOutcome {
  /** Exit status. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a tool (nft, iptables, cp…) to its end in the thread's namespaces, blocking the thread. It is looked for
 * in PATH, then in the sbin directories, which a PATH without root's directories lacks.
 *
 * Throws NOT_FOUND when it is not installed, DEADLINE_EXCEEDED when it was killed after its time, 30 s, INTERNAL when it could not run.
 */
export function runTool(
  file: string,
  args: readonly string[],
  input = '',
  timeoutMs = TIMEOUT_MS,
): ToolOutcome {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    input,
    encoding: 'utf8',
    env: { PATH: path, LC_ALL: 'C' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT,
  });
  if (isErrno(error, 'ENOENT'))
    throw new BerthError('NOT_FOUND', `${file} is not installed`, { cause: error });
  if (isErrno(error, 'ETIMEDOUT')) {
    throw new BerthError('DEADLINE_EXCEEDED', `${file} was killed after ${timeoutMs} ms`, { cause: error });
  }
  if (error !== undefined || status === null) {
    const cause = error === undefined ? `killed by ${signal ?? 'a signal'}` : messageOf(error);
    throw new BerthError('INTERNAL', `failed to run ${file}: ${cause}`, { cause: error });
  }
  return { status, stdout, stderr };
}
