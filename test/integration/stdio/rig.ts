import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFifos, type FifoPaths } from '../../../src/stdio/fifos.ts';
import type { PumpReport, PumpSpec } from '../../../src/stdio/protocol.ts';
import { Pumps } from '../../../src/stdio/pumps.ts';
import { Cleanup } from '../../helpers/cleanup.ts';
import { Scratch } from '../../helpers/fixture.ts';

/** Pumps with FIFOs, logs and writers, and no container around them. */
export class StdioRig implements AsyncDisposable {
  readonly path: string;
  readonly reports: PumpReport[] = [];
  readonly deaths: string[] = [];
  pumps: Pumps;
  readonly #cleanup: Cleanup;

  private constructor(scratch: Scratch) {
    this.path = scratch.path;
    this.#cleanup = new Cleanup();
    this.#cleanup.use(scratch);
    this.pumps = this.newPumps();
  }

  static async create(): Promise<StdioRig> {
    return new StdioRig(await Scratch.create());
  }

  newPumps(): Pumps {
    const pumps = new Pumps({
      onReport: (report) => this.reports.push(report),
      onThreadDied: (error) => this.deaths.push(error.message),
    });
    this.#cleanup.defer(() => pumps.stopAll());
    this.pumps = pumps;
    return pumps;
  }

  logPath(id: string): string {
    return join(this.path, 'logs', id, '0.log');
  }

  fifos(id: string, options: { stdin?: boolean; terminal?: boolean } = {}): FifoPaths {
    const { stdin = false, terminal = false } = options;
    return createFifos(join(this.path, 'io'), id, { stdin, terminal });
  }

  /** Makes FIFOs and pumps them to the log. */
  async start(id: string, spec: Partial<PumpSpec> & { logPath?: string } = {}): Promise<FifoPaths> {
    const fifos = this.fifos(id, { stdin: spec.stdinOnce !== undefined, terminal: spec.terminal ?? false });
    await this.pumps.start({ id, ...streamsOf(fifos), terminal: false, logPath: this.logPath(id), ...spec });
    return fifos;
  }

  /** Holds both ends of a FIFO, as containerd's shim does while its process runs. */
  shim(path: string): Shim {
    const shim = new Shim(path);
    this.#cleanup.defer(async () => shim[Symbol.dispose]());
    return shim;
  }

  log(id: string): LogLine[] {
    return readLog(this.logPath(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup[Symbol.asyncDispose]();
  }
}

export class Shim implements Disposable {
  readonly writer: number;
  readonly #reader: number;
  readonly #children = new Set<ChildProcess>();
  #closed = false;

  constructor(path: string) {
    this.#reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(path, constants.O_WRONLY);
  }

  /** Runs a process that writes to the FIFO; resolves when it has ended. */
  async run(file: string, ...args: string[]): Promise<void> {
    const child = spawn(file, args, { stdio: ['ignore', this.writer, 'ignore'] });
    this.#children.add(child);
    const [code] = (await once(child, 'close')) as [number | null];
    this.#children.delete(child);
    if (code !== 0 && !this.#closed) throw new Error(`${file} exited with ${String(code)}`);
  }

  close(): void {
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const child of this.#children) child.kill('SIGKILL');
    closeSync(this.writer);
    closeSync(this.#reader);
  }
}

export interface LogLine {
  readonly time: string;
  readonly stream: string;
  readonly tag: string;
  readonly content: string;
}

/** The paths alone. */
function streamsOf({ stdin, stdout, stderr }: FifoPaths): Pick<PumpSpec, 'stdin' | 'stdout' | 'stderr'> {
  return { stdout, ...(stdin !== undefined && { stdin }), ...(stderr !== undefined && { stderr }) };
}

/** Reads a CRI log strictly: a line that has not its format fails the test. */
export function readLog(path: string): LogLine[] {
  const text = readFileSync(path, 'utf8');
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error(`the last line of "${path}" has no end`);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([PF]) (.*)$/s.exec(line);
      if (match === null) throw new Error(`no CRI log line: ${JSON.stringify(line)}`);
      const [, time = '', stream = '', tag = '', content = ''] = match;
      return { time, stream, tag, content };
    });
}

/** The lines that a container wrote, put together from their pieces. */
export function wholeLines(log: readonly LogLine[]): string[] {
  const lines: string[] = [];
  let held = '';
  for (const { tag, content } of log) {
    held += content;
    if (tag === 'P') continue;
    lines.push(held);
    held = '';
  }
  return held === '' ? lines : [...lines, held];
}

/** `1`…`n`, as seq(1) writes them. */
export function numbers(last: number, first = 1): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
}
