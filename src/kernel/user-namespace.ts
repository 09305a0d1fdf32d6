/**
 * A user namespace with others that belong to it. unshare(CLONE_NEWUSER) fails in a process with threads, so a short-lived child
 * makes them; they live on once they are pinned or entered.
 */
import { closeSync, existsSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { BerthError, wrap } from '../lib/errors.ts';
import { close, pipe, posixSpawn, waitpid } from './libc.ts';
import { sleepSync } from './sleep.ts';

/** Ids from `containerID` on are those from `hostID` on outside; as the runtime spec writes it. */
export interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** As in user_namespaces(7). */
export interface IdMaps {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** util-linux; Debian has no system without it. */
const UNSHARE = '/usr/bin/unshare';
const MAKE_MS = 5_000;

/**
 * Runs a function while a process waits in new user, net, ipc and uts namespaces, and ends the process. The function gets its
 * pid. Blocks: for worker threads only. Throws FAILED_PRECONDITION when the kernel makes none.
 */
export function withUserNamespaceProcess<T>(maps: IdMaps, fn: (pid: number) => T): T {
  const [reader, writer] = pipe();
  const sink = openSync('/dev/null', 'w');
  let pid = 0;
  try {
    // It waits for its input to end, which our writer holds open.
    const args = ['--user', '--net', '--ipc', '--uts', 'cat'];
    const env = ['PATH=/usr/bin:/bin'];
    pid = posixSpawn({ file: UNSHARE, args, env, directory: '/', descriptors: [reader, sink, sink] });
    awaitNamespace(pid);
    writeMap(`/proc/${pid}/uid_map`, maps.uids);
    writeMap(`/proc/${pid}/gid_map`, maps.gids);
    return fn(pid);
  } finally {
    closeSync(sink);
    // Node's own complains in a worker of what it did not open.
    for (const fd of [reader, writer]) close(fd);
    if (pid !== 0) end(pid);
  }
}

function awaitNamespace(pid: number): void {
  const own = readlinkSync('/proc/thread-self/ns/user');
  const theirs = `/proc/${pid}/ns/user`;
  const deadline = Date.now() + MAKE_MS;
  // A child that ended stays as a zombie without namespaces until it is waited for.
  while (existsSync(theirs) && Date.now() < deadline) {
    if (readlinkSync(theirs) !== own) return;
    sleepSync(0.5);
  }
  throw new BerthError('FAILED_PRECONDITION', 'failed to make a user namespace: the kernel refuses');
}

function writeMap(path: string, ranges: readonly IdRange[]): void {
  const text = ranges.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw wrap(
      `failed to map the ids ${JSON.stringify(ranges)} of a user namespace`,
      error,
      'FAILED_PRECONDITION',
    );
  }
}

function end(pid: number): void {
  process.kill(pid, 'SIGKILL');
  while (waitpid(pid) === undefined) sleepSync(0.5);
}
