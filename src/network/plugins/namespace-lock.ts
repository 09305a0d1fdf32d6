import { closeSync, openSync } from 'node:fs';
import { isErrno } from '../../lib/errors.ts';
import { sleepSync } from '../../kernel/sleep.ts';
import { flock, LOCK_EX, LOCK_NB } from '../../kernel/libc.ts';
import { failure } from './config.ts';

const TIMEOUT_MS = 60_000;
const PAUSE_MS = 2;

/**
 * Holds an exclusive lock for the thread's network namespace while `run` looks at its rules and changes them. The lock is
 * on the namespace itself: there is one wherever the rules are one, and no file is left behind.
 */
export function withNamespaceLock<T>(run: () => T): T {
  return withFileLock('/proc/thread-self/ns/net', run);
}

/** As withNamespaceLock, for the namespace at a path. */
export function withFileLock<T>(path: string, run: () => T): T {
  const fd = openSync(path, 'r');
  try {
    acquire(fd);
    return run();
  } finally {
    closeSync(fd);
  }
}

function acquire(fd: number): void {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!tryLock(fd)) {
    if (performance.now() > deadline)
      throw failure(`the rules were locked by another plugin for ${TIMEOUT_MS} ms`);
    sleepSync(PAUSE_MS);
  }
}

function tryLock(fd: number): boolean {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    return true;
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return false;
    throw error;
  }
}
