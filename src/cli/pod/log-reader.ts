import { Buffer } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { BerthError, isErrno } from '../../lib/errors.ts';

const READ_BYTES = 64 * 1024;
const LF = 0x0a;

/**
 * The lines of a log as it grows. After a rotation the file at the path is another one, which is read from its start once the old one is
 * read to its end: whoever writes it goes on in the new one as soon as that is there (ReopenContainerLog). A file that was cut short is
 * read from its start, and one that was removed for as long as it is written.
 */
export class LogReader implements AsyncDisposable {
  readonly #path: string;
  #file: FileHandle;
  #at = 0;
  #unfinished = Buffer.alloc(0);

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Throws NOT_FOUND when there is no file. */
  static async open(path: string): Promise<LogReader> {
    const file = await openIfThere(path);
    if (file === undefined) throw new BerthError('NOT_FOUND', `there is no log at ${path}`);
    return new LogReader(path, file);
  }

  /** The whole lines that have come since the last call. */
  async *rest(): AsyncGenerator<Buffer, void, undefined> {
    if ((await this.#file.stat()).size < this.#at) this.#begin();
    yield* this.#readOn();
    const next = await this.#rotated();
    if (next === undefined) return;
    // What was written between the last read and the rotation.
    yield* this.#readOn();
    await this.#file.close();
    this.#file = next;
    this.#begin();
    yield* this.#readOn();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }

  #begin(): void {
    this.#at = 0;
    this.#unfinished = Buffer.alloc(0);
  }

  async *#readOn(): AsyncGenerator<Buffer, void, undefined> {
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(chunk, 0, READ_BYTES, this.#at);
      if (bytesRead === 0) return;
      this.#at += bytesRead;
      const text = Buffer.concat([this.#unfinished, chunk.subarray(0, bytesRead)]);
      let from = 0;
      for (let end = text.indexOf(LF); end !== -1; end = text.indexOf(LF, from)) {
        yield text.subarray(from, end);
        from = end + 1;
      }
      this.#unfinished = Buffer.from(text.subarray(from));
    }
  }

  /** The file that is at the path now, when it is another one; between the renaming and the new one there is none. */
  async #rotated(): Promise<FileHandle | undefined> {
    const file = await openIfThere(this.#path);
    if (file === undefined) return undefined;
    const [ours, theirs] = [await this.#file.stat(), await file.stat()];
    if (ours.ino !== theirs.ino || ours.dev !== theirs.dev) return file;
    await file.close();
    return undefined;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
