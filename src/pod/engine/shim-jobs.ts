/** Looking for shims among all processes of the machine, of which there may be thousands: on a worker thread. */
import { readdirSync } from 'node:fs';
import {
  findProcesses,
  isShimOf,
  parentOf,
  type ProcessIdentity,
} from '../../containerd/embedded/process.ts';
import type { Job } from '../../kernel/threads/job.ts';

export interface ShimSearch {
  /** Of containerd, which the shim was started with. */
  readonly address: string;
  /** The container that it was started for. */
  readonly id: string;
}

/** Those that have no children. */
function childlessShims(arg: unknown): ProcessIdentity[] {
  const { address, id } = arg as ShimSearch;
  const isItsShim = (argv: readonly string[]): boolean =>
    isShimOf(argv, address) && argv[argv.indexOf('-id') + 1] === id;
  return findProcesses(isItsShim).filter(({ pid }) => !hasChildren(pid));
}

function hasChildren(pid: number): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && parentOf(Number(name)) === pid);
}

export const jobs: Readonly<Record<string, Job>> = { 'shims.childless': childlessShims };
