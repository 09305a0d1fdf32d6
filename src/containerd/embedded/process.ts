import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isErrno } from '../../lib/errors.ts';

/** USER_HZ, which is the same on every platform that Node knows. */
const TICKS_PER_SECOND = 100;

/** A process that cannot be mistaken for a later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: string;
}

/** The process of this pid; undefined when there is none, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const fields = statOf(pid);
  const [state] = fields;
  const startTime = fields[19];
  if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime };
}

/** 0 for that of a process that is not there. */
export function parentOf(pid: number): number {
  return Number(statOf(pid)[1] ?? 0);
}

/** What a process that begins now has as its start time. */
export function ticksSinceBoot(): number {
  return Math.floor(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * TICKS_PER_SECOND);
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

/** The fields of proc_pid_stat(5) from the state on. */
function statOf(pid: number): string[] {
  const stat = readProc(pid, 'stat');
  // The name, in parentheses, may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}
