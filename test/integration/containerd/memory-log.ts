import type { Fields, Logger } from '../../../src/lib/log.ts';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Fields;
}

/** Keeps what is logged. */
export class MemoryLog implements Logger {
  readonly lines: Line[];

  constructor(lines: Line[] = []) {
    this.lines = lines;
  }

  debug(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }

  child(): Logger {
    return new MemoryLog(this.lines);
  }

  has(message: string): boolean {
    return this.lines.some((line) => line.message === message);
  }
}
