import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { threadId } from 'node:worker_threads';
import { isErrno } from './errors.ts';

let serial = 0;

export interface WriteOptions {
  /** 0600 when absent. */
  readonly mode?: number;
  /** The content is on disk before the name points to it. */
  readonly sync?: boolean;
}

/** How a file is replaced as a whole: writeFileAtomic, or the same on another thread. */
export type WriteFile = (path: string, data: string, options?: WriteOptions) => Promise<void>;

/** How a directory is removed as a whole: removeDirectoryAtomic, or the same on another thread. */
export type RemoveDirectory = (path: string, doomed: string) => Promise<void>;

/** All that a keeper of records does to the disk. */
export interface Files {
  readonly write: WriteFile;
  readonly removeDirectory: RemoveDirectory;
}

/**
 * Writes a file so that a reader, or a crash, sees the old content or the new one and never a part. With `sync` the
 * content is on disk before the name points to it; the journal keeps the order of names, so the directory is not synced.
 */
export async function writeFileAtomic(path: string, data: string, options: WriteOptions = {}): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o600);
    try {
      await file.writeFile(data);
      if (options.sync === true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** As writeFileAtomic, for worker threads. */
export function writeFileAtomicSync(path: string, data: string, options: WriteOptions = {}): void {
  const temporary = temporaryName(path);
  const fd = openSync(temporary, 'wx', options.mode ?? 0o600);
  try {
    try {
      writeFileSync(fd, data);
      if (options.sync === true) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Removes a directory with all that is in it; absent is success. It is renamed to `doomed` first, so that a crash in the middle leaves
 * no half of it under its own name.
 */
export async function removeDirectoryAtomic(path: string, doomed: string): Promise<void> {
  try {
    await rename(path, doomed);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  await rm(doomed, { recursive: true, force: true });
}

/** As removeDirectoryAtomic, for worker threads. */
export function removeDirectoryAtomicSync(path: string, doomed: string): void {
  try {
    renameSync(path, doomed);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  rmSync(doomed, { recursive: true, force: true });
}

/** On the calling thread, and libuv's. */
export const directFiles: Files = { write: writeFileAtomic, removeDirectory: removeDirectoryAtomic };

/** Waits until a file's content is on disk. */
export function syncFileSync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Unique among the threads of this process, which each have a serial of their own. */
function temporaryName(path: string): string {
  serial += 1;
  return `${path}.${process.pid}-${threadId}-${serial}.tmp`;
}
