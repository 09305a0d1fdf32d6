import { type FSWatcher, fstatSync, ftruncateSync, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { messageOf } from '../../lib/errors.ts';
import { isJsonObject } from '../../lib/json.ts';
import type { Logger } from '../../lib/log.ts';

const CHUNK = 64 * 1024;
/** The file is emptied once it has been read this far. */
const KEEP_MAX = 8 * 1024 * 1024;

/**
 * Folds the log file of the embedded containerd into ours. A file and not a pipe: containerd must be able to write on while
 * Berth is away.
 */
export class LogTail {
  readonly #log: Logger;
  readonly #file: FileHandle;
  readonly #watcher: FSWatcher;
  #position: number;
  /** A chunk may end within a character. */
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #reading: Promise<void> | undefined;
  #again = false;

  private constructor(file: FileHandle, path: string, position: number, log: Logger) {
    this.#file = file;
    this.#position = position;
    this.#log = log;
    this.#watcher = watch(path, { persistent: false }, () => this.#read());
  }

  /** Follows what is written from now on. The writer must append. */
  static async follow(path: string, log: Logger): Promise<LogTail> {
    const file = await open(path, 'a+', 0o600);
    const { size } = await file.stat();
    return new LogTail(file, path, size, log);
  }

  /** Reads what is there and ends. Idempotent. */
  async stop(): Promise<void> {
    this.#watcher.close();
    this.#read();
    await this.#reading;
    await this.#file.close().catch(() => undefined);
  }

  #read(): void {
    this.#again = true;
    this.#reading ??= this.#readAll()
      .catch((error: unknown) => this.#log.warn('failed to read the log', { error: messageOf(error) }))
      .finally(() => {
        this.#reading = undefined;
      });
  }

  async #readAll(): Promise<void> {
    const buffer = Buffer.alloc(CHUNK);
    while (this.#again) {
      this.#again = false;
      for (;;) {
        const { bytesRead } = await this.#file.read(buffer, 0, CHUNK, this.#position);
        if (bytesRead === 0) break;
        this.#position += bytesRead;
        this.#lines(this.#decoder.write(buffer.subarray(0, bytesRead)));
      }
      if (this.#position > KEEP_MAX) this.#empty();
    }
  }

  /** At once, unless more was written since the last read: between looking and emptying there is no time for more. */
  #empty(): void {
    const { fd } = this.#file;
    if (fstatSync(fd).size > this.#position) {
      this.#again = true;
      return;
    }
    ftruncateSync(fd);
    this.#position = 0;
  }

  #lines(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') writeLine(this.#log, line);
  }
}

/** containerd misses the networks that Berth gives it none of. */
const EXPECTED = /^failed to load cni during init/;

/** One line of containerd at our level for it: what it says of each plugin and call is for debugging. */
export function writeLine(log: Logger, line: string): void {
  const { level, msg, ...rest } = parseLine(line);
  const fields = Object.fromEntries(Object.entries(rest).filter(([name]) => name !== 'time'));
  const message = typeof msg === 'string' && msg !== '' ? msg : line;
  if (level === 'debug' || level === 'trace' || level === 'info' || EXPECTED.test(message))
    log.debug(message, fields);
  else if (level === 'warning') log.warn(message, fields);
  else log.error(message, fields);
}

/** Shims log text, with a level in it. What is no line of a logger, such as a panic, is worth an error. */
function parseLine(line: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(line);
    if (isJsonObject(parsed)) return parsed;
  } catch {
    // Not JSON.
  }
  return { level: /\blevel=(\w+)/.exec(line)?.[1] ?? 'error', msg: line };
}
