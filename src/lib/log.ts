import type { Writable } from 'node:stream';
import { pino, type Logger as Pino } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
export type Fields = Readonly<Record<string, unknown>>;

/** A constant message with fields. An error is logged once, where it stops. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger that adds these fields to each line. */
  child(fields: Fields): Logger;
}

class PinoLogger implements Logger {
  readonly #pino: Pino;

  constructor(to: Pino) {
    this.#pino = to;
  }

  debug(message: string, fields: Fields = {}): void {
    this.#pino.debug(fields, message);
  }

  info(message: string, fields: Fields = {}): void {
    this.#pino.info(fields, message);
  }

  warn(message: string, fields: Fields = {}): void {
    this.#pino.warn(fields, message);
  }

  error(message: string, fields: Fields = {}): void {
    this.#pino.error(fields, message);
  }

  child(fields: Fields): Logger {
    return new PinoLogger(this.#pino.child(fields));
  }
}

/** One line for a person: `12:00:00.000 INFO message key=value`. */
function textLine(json: string): string {
  const { time, level, msg, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const fields = Object.entries(rest).map(
    ([k, v]) => `${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
  );
  return [String(time).slice(11, 23), String(level).toUpperCase(), String(msg), ...fields].join(' ') + '\n';
}

/** How much may wait for a reader that stands still. */
const WAITING_MOST = 1 << 20;

/** Lines for a stream, as many as it has room for. */
class Lines {
  readonly #to: Writable;
  readonly #onLost: (lines: number) => void;
  #lost = 0;

  /** @param onLost told how many lines were lost, once there is room again. */
  constructor(to: Writable, onLost: (lines: number) => void) {
    this.#to = to;
    this.#onLost = onLost;
  }

  write(line: string): void {
    if (this.#to.writableLength <= WAITING_MOST) {
      this.#to.write(line);
      return;
    }
    if (this.#lost === 0) this.#to.once('drain', () => this.#tell());
    this.#lost += 1;
  }

  #tell(): void {
    const lost = this.#lost;
    this.#lost = 0;
    this.#onLost(lost);
  }
}

/** Lines on stderr, or another stream: JSON for the journal, or text for a person. */
export function createLogger(
  options: { level: LogLevel; format: 'json' | 'text' },
  to: Writable = process.stderr,
): Logger {
  const write = options.format === 'json' ? (line: string) => line : textLine;
  const lines = new Lines(to, (lost) =>
    log.warn('log lines were lost: their reader stood still', { lines: lost }),
  );
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log = new PinoLogger(pino(settings, { write: (line: string) => lines.write(write(line)) }));
  return log;
}
