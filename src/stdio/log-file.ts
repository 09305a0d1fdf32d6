import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectorySync } from '../lib/directories.ts';
import { messageOf, wrap } from '../lib/errors.ts';

/** What an operator has to hear of a log file. */
export type LogFileReport =
  /** Writing fails; it is tried again with back-off, and records are kept as far as there is room. Told once per outage. */
  | { readonly kind: 'log-write-failed'; readonly path: string; readonly error: string }
  /** Writing works again. */
  | { readonly kind: 'log-write-recovered'; readonly path: string }
  /** Records that are lost for good, as many as since the last such report. */
  | { readonly kind: 'log-dropped'; readonly path: string; readonly lines: number; readonly bytes: number }
  /** Somebody removed the file: what is written is seen by nobody until the log is reopened. Told once per file. */
  | { readonly kind: 'log-removed'; readonly path: string };

export interface LogFileLimits {
  /** How much is kept while the file cannot be written: so much and one write more. */
  readonly pendingBytes: number;
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
  /** How often a write looks whether the file still has a name. */
  readonly removedCheckMs: number;
}

export const LOG_FILE_LIMITS: LogFileLimits = {
  pendingBytes: 1024 * 1024,
  firstRetryMs: 100,
  lastRetryMs: 5_000,
  removedCheckMs: 10_000,
};

const LF = 10;

/**
 * A container's log file. Writing is synchronous and never throws: while the disk is full or broken, records wait in a bounded
 * buffer, newer ones are dropped and counted, and the container goes on.
 *
 * ```
 * healthy ──write fails──▶ failing ──retry, reopen──▶ healthy
 *                          │ write: kept, else dropped
 *                          └ retry fails: back-off doubles
 * ```
 */
export class LogFile {
  readonly #path: string;
  readonly #report: (report: LogFileReport) => void;
  readonly #limits: LogFileLimits;
  #fd: number | undefined;
  /** Whole records that wait; of the first buffer `#written` bytes are in the file already. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #written = 0;
  /** The next attempt; set exactly while failing. */
  #retry: NodeJS.Timeout | undefined;
  #retryMs = 0;
  #dropped = { lines: 0, bytes: 0 };
  #isRemoved = false;
  #nextRemovedCheck = 0;

  constructor(
    path: string,
    report: (report: LogFileReport) => void,
    limits: LogFileLimits = LOG_FILE_LIMITS,
  ) {
    this.#path = path;
    this.#report = report;
    this.#limits = limits;
  }

  /**
   * Opens, and makes when absent, the file (0640) and its directories (0755), and ends a torn last line. When it was open it goes on in a new
   * file: the old one was renamed or removed. Throws what the file system says; then the next write tries again, or stays with
   * the file that is open.
   */
  open(): void {
    const fd = this.#openFile();
    if (this.#fd !== undefined) {
      this.#takeBackTornRecord(this.#fd);
      closeSync(this.#fd);
    }
    this.#fd = fd;
    if (this.#retry !== undefined) this.#tryAgain();
  }

  /** Appends whole records. The bytes may be used again afterwards. */
  write(records: Buffer): void {
    if (this.#retry !== undefined) {
      this.#keep(records);
      return;
    }
    const written = this.#append(records, 0);
    if (written < records.length) {
      this.#keep(records);
      this.#written = written;
    }
    this.#checkRemoved();
  }

  /** Writes what still waits, or counts it as dropped, and closes the file. */
  close(): void {
    if (this.#retry !== undefined) this.#tryAgain();
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#fd !== undefined) this.#takeBackTornRecord(this.#fd);
    for (const records of this.#pending) {
      this.#drop(records.subarray(this.#written));
      this.#written = 0;
    }
    this.#pending = [];
    this.#reportDropped();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #openFile(): number {
    try {
      makeDirectorySync(dirname(this.#path), 0o755);
      const fd = openSync(this.#path, 'a+', 0o640);
      try {
        endTornLine(fd);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      this.#isRemoved = false;
      return fd;
    } catch (error) {
      throw wrap(`failed to open log file "${this.#path}"`, error, 'INTERNAL');
    }
  }

  /** Writes from an offset on; where it stopped, which is short of the end when writing fails. */
  #append(records: Buffer, from: number): number {
    let at = from;
    try {
      this.#fd ??= this.#openFile();
      while (at < records.length) at += writeSync(this.#fd, records, at);
    } catch (error) {
      this.#failed(error);
    }
    return at;
  }

  #failed(error: unknown): void {
    const { firstRetryMs, lastRetryMs } = this.#limits;
    if (this.#retryMs === 0) {
      this.#report({ kind: 'log-write-failed', path: this.#path, error: messageOf(error) });
    }
    this.#retryMs = this.#retryMs === 0 ? firstRetryMs : Math.min(2 * this.#retryMs, lastRetryMs);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#tryAgain(), this.#retryMs);
  }

  #keep(records: Buffer): void {
    if (this.#pendingBytes > 0 && this.#pendingBytes + records.length > this.#limits.pendingBytes) {
      this.#drop(records);
      return;
    }
    this.#pending.push(Buffer.from(records));
    this.#pendingBytes += records.length;
  }

  #tryAgain(): void {
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      this.#written = this.#append(first, this.#written);
      if (this.#written < first.length) {
        this.#reportDropped();
        return;
      }
      this.#pending.shift();
      this.#pendingBytes -= first.length;
      this.#written = 0;
    }
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#retryMs = 0;
    this.#reportDropped();
    this.#report({ kind: 'log-write-recovered', path: this.#path });
  }

  #drop(records: Buffer): void {
    for (let at = records.indexOf(LF); at >= 0; at = records.indexOf(LF, at + 1)) this.#dropped.lines += 1;
    this.#dropped.bytes += records.length;
  }

  #reportDropped(): void {
    if (this.#dropped.bytes === 0) return;
    this.#report({ kind: 'log-dropped', path: this.#path, ...this.#dropped });
    this.#dropped = { lines: 0, bytes: 0 };
  }

  /** A record of which a file has only a part is taken out of it, so that it can be written elsewhere as a whole. */
  #takeBackTornRecord(fd: number): void {
    const first = this.#pending[0];
    if (first === undefined || this.#written === 0) return;
    const begin = first.lastIndexOf(LF, this.#written - 1) + 1;
    try {
      ftruncateSync(fd, fstatSync(fd).size - (this.#written - begin));
    } catch {
      // The part stays, and is ended when the file is opened again.
    }
    this.#written = begin;
  }

  #checkRemoved(): void {
    const now = Date.now();
    if (this.#fd === undefined || this.#isRemoved || now < this.#nextRemovedCheck) return;
    this.#nextRemovedCheck = now + this.#limits.removedCheckMs;
    this.#isRemoved = fstatSync(this.#fd).nlink === 0;
    if (this.#isRemoved) this.#report({ kind: 'log-removed', path: this.#path });
  }
}

/** After a kill -9 in the middle of a write the last line has no end: without one the next record would be part of it. */
function endTornLine(fd: number): void {
  const { size } = fstatSync(fd);
  const last = Buffer.from([LF]);
  if (size > 0) readSync(fd, last, 0, 1, size - 1);
  if (last[0] !== LF) writeSync(fd, '\n');
}
