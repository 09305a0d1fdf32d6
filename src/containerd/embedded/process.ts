import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isErrno } from '../../lib/errors.ts';

/** A process that cannot be mistaken for a later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: string;
}

/** The process of this pid; undefined when there is none, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readProc(pid, 'stat');
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTime = fields[19];
  if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime };
}

/** Whether just this process still runs. */
export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  return identify(pid)?.startTime === startTime;
}

/** Sends a signal; a process that has ended meanwhile is left alone. */
export function signalProcess(process_: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(process_)) return;
  try {
    process.kill(process_.pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/** The processes whose command line satisfies the predicate. */
export function findProcesses(matches: (argv: readonly string[]) => boolean): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => matches(argvOf(pid)))
    .flatMap((pid) => identify(pid) ?? []);
}

/** Whether a command line is that of containerd with this configuration file. */
export function isContainerd(argv: readonly string[], configPath: string): boolean {
  const [program = '', ...args] = argv;
  return basename(program) === 'containerd' && args[0] === '--config' && args[1] === configPath;
}

/** Whether a command line is that of a shim of the containerd with this socket. */
export function isShimOf(argv: readonly string[], address: string): boolean {
  const [program = '', ...args] = argv;
  return basename(program).startsWith('containerd-shim-') && args[args.indexOf('-address') + 1] === address;
}

export function argvOf(pid: number): string[] {
  return readProc(pid, 'cmdline').split('\0').slice(0, -1);
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}
