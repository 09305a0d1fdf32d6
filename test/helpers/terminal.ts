import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

const WAIT_MS = 10_000;

/** A terminal, as script(1) makes it, with one program in it. */
export class Terminal implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #text = '';
  #head: readonly string[] = [];

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    child.stdout.on('data', (chunk: Buffer) => (this.#text += chunk.toString('latin1')));
  }

  /** Starts a program in a new terminal of this size. */
  static async run(argv: readonly string[], size: { columns: number; rows: number }): Promise<Terminal> {
    // The shell stays after the program, and the terminal with it.
    const line = [
      `stty rows ${size.rows} cols ${size.columns}; tty; stty -g`,
      `sh -c 'echo $$; exec "$@"' sh ${argv.map(quoted).join(' ')}`,
      `code=$?; printf 'ended %s %s\\n' "$code" "$(stty -g)"; read end`,
    ].join('; ');
    const env = { ...process.env, SHELL: '/bin/sh' };
    const child = spawn('script', ['-qc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], env });
    const terminal = new Terminal(child);
    try {
      const head = /^(?:.*\r\n){3}/.exec(await terminal.shows(/^(?:.*\r\n){3}/))?.[0] ?? '';
      terminal.#head = head.split('\r\n');
      terminal.#text = terminal.#text.slice(head.length);
      return terminal;
    } catch (error) {
      await terminal[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What stty(1) said of it before the program, to be compared. */
  get before(): string {
    return this.#head[1] ?? '';
  }

  /** Of the program. */
  get pid(): number {
    return Number(this.#head[2]);
  }

  /** All that it has shown. */
  get text(): string {
    return this.#text;
  }

  /** Presses keys. */
  type(keys: string): void {
    this.#child.stdin.write(keys, 'latin1');
  }

  /** Waits until it shows this. */
  async shows(expected: RegExp): Promise<string> {
    const deadline = Date.now() + WAIT_MS;
    while (!expected.test(this.#text)) {
      if (Date.now() > deadline)
        throw new Error(`${String(expected)} is not in ${JSON.stringify(this.#text)}`);
      await sleep(10);
    }
    return this.#text;
  }

  /** Its settings by name, as stty(1) has them: `icanon`, `-icanon`. */
  async settings(): Promise<ReadonlySet<string>> {
    const { stdout } = await execa('stty', ['-F', this.#device, '-a']);
    return new Set(stdout.split(/[\s;]+/));
  }

  /** As a person who pulls at the window. */
  async resize({ columns, rows }: { readonly columns: number; readonly rows: number }): Promise<void> {
    await execa('stty', ['-F', this.#device, 'rows', String(rows), 'cols', String(columns)]);
  }

  get #device(): string {
    return this.#head[0] ?? '';
  }

  /** Waits for the end of the program: its exit code, and what the terminal is then. */
  async ended(): Promise<{ code: number; after: string }> {
    const [, code = '', after = ''] =
      /ended (\d+) (\S+)\r\n/.exec(await this.shows(/ended \d+ \S+\r\n/)) ?? [];
    return { code: Number(code), after };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // What script runs gets a SIGHUP with the end of its terminal.
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
