import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { BerthError, isErrno } from '../lib/errors.ts';
import { flock, LOCK_EX, LOCK_NB } from './libc.ts';
import { sleepSync } from './sleep.ts';

/** Pauses between tries, in milliseconds; the last one is repeated. */
const PAUSES = [1, 1, 2, 5, 10];

/** An exclusive flock(2) on a file, held until disposed: `using lock = FileLock.acquire(path)`. */
export class FileLock implements Disposable {
  private fd: number | undefined;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Opens the file (created with this mode when absent) and waits for its lock, up to timeoutMs. It waits by trying again, not
   * inside flock(2): a thread that sleeps in the kernel could not be ended. A directory may be locked too.
   *
   * Throws DEADLINE_EXCEEDED naming the holder; what open(2) throws otherwise.
   */
  static acquire(
    path: string,
    options: { readonly timeoutMs?: number; readonly mode?: number } = {},
  ): FileLock {
    const fd = openForLock(path, options.mode ?? 0o600);
    const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    try {
      for (let attempt = 0; !tryLock(fd); attempt++) {
        if (performance.now() >= deadline) {
          throw timedOut(path, fd, options.timeoutMs ?? 0);
        }
        sleepSync(PAUSES[Math.min(attempt, PAUSES.length - 1)] ?? 10);
      }
      return new FileLock(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** The lock if it is free, undefined when someone holds it. */
  static tryAcquire(path: string, mode = 0o600): FileLock | undefined {
    const fd = openForLock(path, mode);
    try {
      if (tryLock(fd)) {
        return new FileLock(fd);
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    return undefined;
  }

  /** Closing the descriptor lets the lock go, as nothing else shares it. */
  release(): void {
    if (this.fd !== undefined) {
      closeSync(this.fd);
      this.fd = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function openForLock(path: string, mode: number): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, mode);
  } catch (error) {
    if (isErrno(error, 'EISDIR')) {
      return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    }
    // Whoever may read a file may lock it, also on a file system that is read-only.
    if (isErrno(error, 'EROFS')) return openSync(path, constants.O_RDONLY);
    throw error;
  }
}

function tryLock(fd: number): boolean {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    return true;
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) {
      return false;
    }
    throw error;
  }
}

function timedOut(path: string, fd: number, timeoutMs: number): BerthError {
  const pid = holderOf(fd);
  const holder = pid === undefined ? 'another process' : `process ${pid}`;
  const message = `failed to lock "${path}": held by ${holder} for longer than ${timeoutMs} ms`;
  return new BerthError('DEADLINE_EXCEEDED', message, { meta: pid === undefined ? { path } : { path, pid } });
}

function holderOf(fd: number): number | undefined {
  return holderAmong(readFileSync('/proc/locks', 'utf8'), fstatSync(fd));
}

/** The pid that a text as that of /proc/locks names for the lock on a file. Other devices have the same inodes. */
export function holderAmong(locks: string, { dev, ino }: Pick<Stats, 'dev' | 'ino'>): number | undefined {
  // As makedev(3) packs them, of which 32 bits are in use.
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const file = [...[major, minor].map((number) => number.toString(16).padStart(2, '0')), ino].join(':');
  for (const line of locks.split('\n')) {
    // "1: FLOCK  ADVISORY  WRITE 712 00:19:12345 0 EOF"; a waiter's line has "->" after the number.
    const fields = line.trim().split(/\s+/);
    if (fields[1] === 'FLOCK' && fields[5] === file) {
      return Number(fields[4]);
    }
  }
  return undefined;
}
