import { constants, lstatSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { close, mkfifo, openat2 } from '../kernel/libc.ts';
import { makeDirectorySync } from '../lib/directories.ts';
import { invalid, isErrno, wrap } from '../lib/errors.ts';

/** The FIFOs of one container or exec, as containerd's tasks take them. */
export interface FifoPaths {
  readonly directory: string;
  readonly stdin?: string;
  readonly stdout: string;
  /** Absent in terminal mode: a terminal has one output. */
  readonly stderr?: string;
}

export interface FifoOptions {
  readonly stdin: boolean;
  readonly terminal: boolean;
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Makes `<root>/<id>/{stdin,stdout,stderr}` (0700). FIFOs that are already there stay: a FIFO keeps nothing once all its ends are closed.
 * Throws INVALID_ARGUMENT for an id that cannot be a file name.
 */
export function createFifos(root: string, id: string, options: FifoOptions): FifoPaths {
  const paths = fifoPaths(root, id, options);
  try {
    makeDirectorySync(paths.directory, 0o700);
    for (const path of [paths.stdin, paths.stdout, paths.stderr]) {
      if (path !== undefined) makeFifo(path);
    }
  } catch (error) {
    throw wrap(`failed to create FIFOs of "${id}"`, error, 'INTERNAL');
  }
  return paths;
}

/** Where createFifos puts them: recovery finds a running container's FIFOs by this. */
export function fifoPaths(root: string, id: string, options: FifoOptions): FifoPaths {
  const directory = fifoDirectory(root, id);
  return {
    directory,
    ...(options.stdin && { stdin: join(directory, 'stdin') }),
    stdout: join(directory, 'stdout'),
    ...(!options.terminal && { stderr: join(directory, 'stderr') }),
  };
}

/** Removes the directory with its FIFOs; no error when it is absent. */
export async function removeFifos(root: string, id: string): Promise<void> {
  // Four names on a tmpfs: an asynchronous removal would go to the thread pool and back for each of them.
  rmSync(fifoDirectory(root, id), { recursive: true, force: true });
}

function fifoDirectory(root: string, id: string): string {
  if (!ID.test(id)) throw invalid('id', `"${id}" cannot be the name of a directory`);
  return join(root, id);
}

function makeFifo(path: string): void {
  try {
    mkfifo(path, 0o700);
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !lstatSync(path).isFIFO()) throw error;
  }
}

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;

/** Both ends of an output FIFO, opened without waiting for anyone. */
export interface OutputEnds {
  /** For a Socket to own. */
  readonly reader: number;
  /**
   * A write end of our own: as long as it is open, a writer that closes and comes back does not look like the end of the stream.
   * Closing it (fs.closeSync) makes the end visible as soon as nobody else writes.
   */
  readonly keeper: number;
}

/** Opens an output FIFO; a shim's own opening, which waits for a reader, then goes on. */
export function openOutput(path: string): OutputEnds {
  const reader = openForSocket(path, constants.O_RDONLY);
  try {
    return { reader, keeper: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
  } catch (error) {
    close(reader);
    throw error;
  }
}

/**
 * Opens a stdin FIFO for writing, also when nobody reads it yet; the container meets its end only when this is closed. For
 * a Socket to own.
 */
export function openInput(path: string): number {
  return openForSocket(path, constants.O_RDWR);
}

/**
 * Not through node:fs: a worker thread closes at its end every descriptor number that node:fs opened and did not close, and a number that
 * a Socket closed may long be another thread's.
 */
function openForSocket(path: string, access: number): number {
  return openat2(AT_FDCWD, path, { flags: access | constants.O_NONBLOCK | O_CLOEXEC, resolve: 0 });
}
