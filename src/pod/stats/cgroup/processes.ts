import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { readCount, readText, subdirectories, toCount, unlessGone } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** How many processes there are in the cgroup and those below it. */
export interface ProcessReading {
  readonly processes: bigint;
}

/** undefined when there is no such cgroup. */
export function readProcesses(cgroup: Cgroup): ProcessReading | undefined {
  const pids = readPids(cgroup);
  return pids === undefined ? undefined : { processes: BigInt(pids.length) };
}

/** What the processes have open, their threads, and what limits them. */
export interface ProcessDetails {
  readonly fileDescriptors: bigint;
  readonly sockets: bigint;
  readonly threads: bigint | undefined;
  /** 0 for no limit. */
  readonly threadsMax: bigint | undefined;
  /** Soft limits of the oldest process by name (`max_open_files`); what is unlimited is absent. */
  readonly softLimits: readonly { readonly name: string; readonly value: bigint }[];
}

export function readProcessDetails(cgroup: Cgroup): ProcessDetails | undefined {
  const pids = readPids(cgroup);
  if (pids === undefined) return undefined;
  const targets = pids.flatMap(openFiles);
  const directory = directoryOf(cgroup, 'pids')?.directory;
  const max = directory === undefined ? undefined : readText(join(directory, 'pids.max'));
  return {
    fileDescriptors: BigInt(targets.length),
    sockets: BigInt(targets.filter((target) => target.startsWith('socket:')).length),
    threads: directory === undefined ? undefined : readCount(join(directory, 'pids.current')),
    threadsMax: max === undefined ? undefined : (toCount(max.trim()) ?? 0n),
    softLimits: pids[0] === undefined ? [] : softLimits(pids[0]),
  };
}

/** The cgroup's own processes first, in the kernel's order. Any hierarchy has the list; pids and memory are the usual ones. */
function readPids(cgroup: Cgroup): string[] | undefined {
  const at = directoryOf(cgroup, 'pids') ?? directoryOf(cgroup, 'memory');
  return at === undefined ? undefined : pidsBelow(at.directory);
}

function pidsBelow(directory: string): string[] | undefined {
  const text = readText(join(directory, 'cgroup.procs'));
  if (text === undefined) return undefined;
  const own = text.split('\n').filter((pid) => pid !== '');
  return [...own, ...subdirectories(directory).flatMap((below) => pidsBelow(below) ?? [])];
}

/** What a process's descriptors point to; '' for one that may not be looked at (as without CAP_SYS_PTRACE). */
function openFiles(pid: string): string[] {
  const directory = `/proc/${pid}/fd`;
  const names = unlessGone(() => readdirSync(directory), 'EACCES', 'EPERM') ?? [];
  return names.map((name) => unlessGone(() => readlinkSync(join(directory, name)), 'EACCES', 'EPERM') ?? '');
}

/** Lines of `Max open files            1024                 524288               files`. Source: proc_pid_limits(5). */
function softLimits(pid: string): ProcessDetails['softLimits'] {
  const [, ...lines] = (readText(`/proc/${pid}/limits`) ?? '').split('\n');
  return lines.flatMap((line) => {
    const [name = '', soft] = line.split(/ {2,}/);
    const value = toCount(soft);
    return value === undefined ? [] : [{ name: name.toLowerCase().replaceAll(' ', '_'), value }];
  });
}
