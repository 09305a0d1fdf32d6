/**
 * Directories made with what is missing above them. Node's own `recursive` asks again for ever where the kernel says ENOENT below a
 * directory that exists, as it does in /proc, and holds its thread for good.
 */
import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from './errors.ts';

/** One that is there already keeps its mode. Throws what mkdir(2) says. */
export function makeDirectorySync(path: string, mode: number): void {
  try {
    makeOneSync(path, mode);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    makeDirectorySync(dirname(path), mode);
    makeOneSync(path, mode);
  }
}

/** The same, off this thread. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await makeOne(path, mode);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), mode);
    await makeOne(path, mode);
  }
}

function makeOneSync(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // A file system that is read-only may say EROFS of a directory that is there.
    if (!isErrno(error, 'ENOENT') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
      return;
    throw error;
  }
}

async function makeOne(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && (await isDirectory(path))) return;
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
