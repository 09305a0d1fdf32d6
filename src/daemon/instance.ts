import { randomUUID } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageConfig } from '../config/schema.ts';
import { FileLock } from '../kernel/flock.ts';
import { makeDirectorySync } from '../lib/directories.ts';
import { BerthError, isErrno } from '../lib/errors.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';

/** This daemon's claim on its directories, for as long as it runs. */
export interface Instance extends Disposable {
  /** The uuid kept in storage.root: what we make on the machine bears it. */
  readonly uuid: string;
}

/**
 * Locks both directories and reads, or makes, the instance's uuid. Throws ALREADY_EXISTS with the other's pid when a second daemon
 * uses one of them.
 */
export async function claimInstance(storage: StorageConfig): Promise<Instance> {
  const locks: FileLock[] = [];
  const release = (): void => locks.forEach((lock) => lock.release());
  try {
    for (const directory of new Set([storage.root, storage.state])) locks.push(lockDirectory(directory));
    // An embedded engine's root file systems are below: root of a user namespace has to get there, not to look around.
    chmodSync(storage.state, 0o711);
    return { uuid: await uuidOf(storage.root), [Symbol.dispose]: release };
  } catch (error) {
    release();
    throw error;
  }
}

function lockDirectory(directory: string): FileLock {
  makeDirectorySync(directory, 0o700);
  const path = join(directory, 'lock');
  const lock = FileLock.tryAcquire(path);
  if (lock === undefined) {
    const pid = readFileSync(path, 'utf8').trim();
    throw new BerthError('ALREADY_EXISTS', `another berth, process ${pid || 'unknown'}, uses "${directory}"`);
  }
  try {
    // In place: the lock is on the inode.
    writeFileSync(path, `${process.pid}\n`);
  } catch {
    // For people only. A disk that is full is no reason not to start: to remove pods may be what makes room.
  }
  return lock;
}

async function uuidOf(root: string): Promise<string> {
  const path = join(root, 'instance');
  try {
    const uuid = readFileSync(path, 'utf8').trim();
    if (uuid !== '') return uuid;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  const uuid = randomUUID();
  await writeFileAtomic(path, `${uuid}\n`, { sync: true });
  return uuid;
}
