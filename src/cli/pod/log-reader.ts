import { Buffer } from 'node:buffer';
import { type FileHandle, stat } from 'node:fs/promises';
import { BerthError, isErrno, messageOf } from '../../lib/errors.ts';
import { openIfThere, readRotated, rotatedBegins, rotatedLogs } from './rotated-logs.ts';

const READ_BYTES = 64 * 1024;
/** Of a file whose name is gone: enough to know it again when it is compressed. */
const HEAD_BYTES = 4 * 1024;
const LF = 0x0a;

/** The file at a log's path, and the rotated ones that are older: as they were at one moment. */
interface Look {
  readonly file: FileHandle;
  readonly older: readonly string[];
}

/**
 * The lines of a log as it grows. After a rotation the file at the path is another one, which is read from its start once the old one is
 * read to its end: whoever writes it goes on in the new one as soon as that is there (ReopenContainerLog). Between the two come those that
 * were rotated since, when we were slow to look. A file that was cut short is read from its start, and one that was removed for as
 * long as it is written.
 */
export class LogReader implements AsyncDisposable {
  readonly #path: string;
  readonly #notice: (text: string) => void;
  #file: FileHandle;
  #older: readonly string[];
  #at = 0;
  #lines = new LineCutter();

  private constructor(path: string, { file, older }: Look, notice: (text: string) => void) {
    this.#path = path;
    this.#file = file;
    this.#older = older;
    this.#notice = notice;
  }

  /**
   * Throws NOT_FOUND when there is no file.
   * @param notice told, in a sentence, when lines may be missing.
   */
  static async open(path: string, notice: (text: string) => void): Promise<LogReader> {
    const found = await look(path);
    if (found === undefined) throw new BerthError('NOT_FOUND', `there is no log at ${path}`);
    return new LogReader(path, found, notice);
  }

  /** The whole lines that have come since the last call. */
  async *rest(): AsyncGenerator<Buffer, void, undefined> {
    if ((await this.#file.stat()).size < this.#at) this.#begin();
    yield* this.#readOn();
    while (!(await isAt(this.#path, this.#file))) {
      const next = await look(this.#path);
      // Between the renaming and the new one there is none.
      if (next === undefined) return;
      // What was written between the last read and the rotation.
      yield* this.#readOn();
      const missed = await this.#goOnIn(next);
      for (const path of missed) yield* this.#readMissed(path);
      yield* this.#readOn();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }

  #begin(): void {
    this.#at = 0;
    this.#lines = new LineCutter();
  }

  async *#readOn(): AsyncGenerator<Buffer, void, undefined> {
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(chunk, 0, READ_BYTES, this.#at);
      if (bytesRead === 0) return;
      this.#at += bytesRead;
      yield* this.#lines.cut(chunk.subarray(0, bytesRead));
    }
  }

  /** Takes the new file in place of ours; the paths of those that were rotated after ours and before it. */
  async #goOnIn({ file, older }: Look): Promise<string[]> {
    const ours = this.#file;
    const rotated = older.filter((path) => !this.#older.includes(path));
    this.#file = file;
    this.#older = older;
    this.#begin();
    try {
      const own = await ownOf(ours, rotated);
      if (own === undefined && (await ours.stat()).nlink === 0)
        this.#notice(
          `${this.#path}: the file read last is gone, and others may be gone with it: lines may be missing`,
        );
      return rotated.filter((path) => path !== own);
    } finally {
      await ours.close();
    }
  }

  async *#readMissed(path: string): AsyncGenerator<Buffer, void, undefined> {
    const lines = new LineCutter();
    try {
      const content = await readRotated(path);
      if (content === undefined) {
        this.#notice(`${path} was removed before it was read: its lines are missing`);
        return;
      }
      for await (const chunk of content as AsyncIterable<Buffer>) yield* lines.cut(chunk);
    } catch (error) {
      this.#notice(`failed to read ${path}: ${messageOf(error)}: lines of it are missing`);
    }
  }
}

/** Whole lines, of text in whatever pieces. */
class LineCutter {
  #unfinished = Buffer.alloc(0);

  *cut(chunk: Buffer): Generator<Buffer, void, undefined> {
    const text = Buffer.concat([this.#unfinished, chunk]);
    let from = 0;
    for (let end = text.indexOf(LF); end !== -1; end = text.indexOf(LF, from)) {
      yield text.subarray(from, end);
      from = end + 1;
    }
    this.#unfinished = Buffer.from(text.subarray(from));
  }
}

/** Undefined when there is no file at the path. */
async function look(path: string): Promise<Look | undefined> {
  for (;;) {
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    const older = await rotatedLogs(path);
    // Else it was rotated meanwhile, and may be one of them.
    if (await isAt(path, file)) return { file, older };
    await file.close();
  }
}

async function isAt(path: string, file: FileHandle): Promise<boolean> {
  try {
    return isSame(await file.stat(), await stat(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** What a file that we have open is called now; undefined when it is none of these. A compressed one is another file with its content. */
async function ownOf(file: FileHandle, paths: readonly string[]): Promise<string | undefined> {
  const ours = await file.stat();
  const head = Buffer.alloc(Math.min(ours.size, HEAD_BYTES));
  await file.read(head, 0, head.length, 0);
  for (const path of paths) {
    const theirs = await stat(path).catch(() => undefined);
    if (theirs !== undefined && isSame(ours, theirs)) return path;
    if (head.length > 0 && (await rotatedBegins(path, head))) return path;
  }
  return undefined;
}

interface FileIdentity {
  readonly ino: number;
  readonly dev: number;
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}
