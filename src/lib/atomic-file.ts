import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';

const TEMPORARY = '.tmp';
/** As temporaryName makes them. */
const OUR_TEMPORARY = /\.\d+-\d+-\d+\.tmp$/;
/** No write takes so long. */
const ABANDONED_AFTER_MS = 60_000;

let serial = 0;

export interface WriteOptions {
  /** 0600 when absent. */
  readonly mode?: number;
  /** The content is on disk before the name points to it. */
  readonly sync?: boolean;
}

/** How a file is replaced as a whole: writeFileAtomic, or the same on another thread. */
export type WriteFile = (path: string, data: string, options?: WriteOptions) => Promise<void>;

/** How text is added to a file that is there, whole or not at all: append, or the same on another thread. */
export type AppendToFile = (path: string, text: string) => Promise<void>;

/** How files and directories are removed, in their order; absent is success: removeAll, or the same on another thread. */
export type RemoveFiles = (paths: readonly string[]) => Promise<void>;

/** All that a keeper of records does to the disk. */
export interface Files {
  readonly write: WriteFile;
  readonly append: AppendToFile;
  readonly remove: RemoveFiles;
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
 * Removes what writes that a crash ended have left in a directory that is ours alone. To be called before anything is written there. On a
 * disk that takes no writes it stays.
 */
export function removeTemporarySync(directory: string): void {
  for (const name of readdirSync(directory).filter((each) => each.endsWith(TEMPORARY))) {
    try {
      rmSync(join(directory, name), { force: true });
    } catch {
      // The next one who calls this tries again.
    }
  }
}

/** Renames a file that cannot be understood, so that a person can look at it. Returns its name: the old one on a disk that takes no writes. */
export function setAsideSync(path: string): string {
  const aside = `${path}.unreadable`;
  try {
    renameSync(path, aside);
    return aside;
  } catch {
    return path;
  }
}

/** As removeTemporarySync, of files in a directory where others write too: what nobody has written to for a minute. */
export async function removeAbandoned(paths: readonly string[]): Promise<void> {
  for (const path of paths.filter((each) => OUR_TEMPORARY.test(each))) {
    // It may have got its name meanwhile.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_AFTER_MS)
      await rm(path, { force: true });
  }
}

const TO_THE_END = constants.O_WRONLY | constants.O_APPEND;

/** Throws ENOENT; what a full disk takes of the text is taken back. */
async function append(path: string, text: string): Promise<void> {
  const file = await open(path, TO_THE_END);
  try {
    const { size } = await file.stat();
    try {
      await file.writeFile(text);
    } catch (error) {
      await file.truncate(size);
      throw error;
    }
  } finally {
    await file.close();
  }
}

/** As append, for worker threads. */
export function appendSync(path: string, text: string): void {
  const fd = openSync(path, TO_THE_END);
  try {
    const { size } = fstatSync(fd);
    try {
      writeFileSync(fd, text);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
  } finally {
    closeSync(fd);
  }
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}

/** As removeAll, for worker threads. */
export function removeAllSync(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

/** On the calling thread, and libuv's. */
export const directFiles: Files = { write: writeFileAtomic, append, remove: removeAll };

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
  return `${path}.${process.pid}-${threadId}-${serial}${TEMPORARY}`;
}
