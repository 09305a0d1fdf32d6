import { Buffer } from 'node:buffer';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { sleep } from '../../lib/deadline.ts';
import { BerthError, isErrno } from '../../lib/errors.ts';
import type { Client } from '../client.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { connect, connectionOptions } from '../connect.ts';
import { Exit, UsageError } from '../exit.ts';
import { containerOption, findContainer } from './container.ts';

const READ_BYTES = 64 * 1024;
const POLL_MS = 100;
const LF = 0x0a;

export const command = defineCommand({
  name: 'pod logs',
  summary: 'Print the log of a container',
  positionals: 'POD',
  arity: [1, 1],
  options: {
    ...connectionOptions,
    ...containerOption,
    follow: { type: 'boolean', short: 'f', help: 'go on until the container has ended' },
    tail: { type: 'string', value: 'LINES', help: 'only so many last lines' },
    timestamps: { type: 'boolean', help: 'with the time of each line' },
  },
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. The log is read from the node's own file; what the container wrote to
stderr is written to stderr.`,
  async run(values, [pod = ''], context) {
    const tail = linesOf(values.tail);
    using client = await connect(values, context);
    const { id } = await findContainer(client, pod, values.container);
    const path = await logPath(client, id);
    const print = printer(context, values.timestamps);
    await using log = await LogReader.open(path);
    const lines = await log.rest();
    for (const line of lines.slice(tail === undefined ? 0 : Math.max(0, lines.length - tail))) print(line);
    while (values.follow && !context.signal.aborted) {
      const { status } = await client.containerStatus(id);
      // What was written before it ended is read after that is known.
      const hasEnded = status?.state !== 'CONTAINER_RUNNING' && status?.state !== 'CONTAINER_CREATED';
      for (const line of await log.rest()) print(line);
      if (hasEnded) break;
      await sleep(POLL_MS, context.signal);
    }
    return Exit.ok;
  },
});

function linesOf(text: string | undefined): number | undefined {
  if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new UsageError(`--tail must be a number of lines, not "${text}"`);
}

async function logPath(client: Client, containerId: string): Promise<string> {
  const { status } = await client.containerStatus(containerId);
  const path = status?.logPath ?? '';
  if (path === '') throw new BerthError('NOT_FOUND', `container "${containerId}" keeps no log`);
  return path;
}

/** Writes one line of the CRI's format (`<time> <stdout|stderr> <P|F> <content>`) where its stream goes; a piece without its end. */
export function printer(
  { streams }: Pick<CommandContext, 'streams'>,
  timestamps: boolean,
): (line: Buffer) => void {
  let atStart = true;
  return (line) => {
    const [, time = '', stream, tag] = /^(\S+) (stdout|stderr) (\S+) /.exec(line.toString('latin1')) ?? [];
    if (stream === undefined || tag === undefined) return;
    const content = line.subarray(time.length + stream.length + tag.length + 3);
    const isPart = tag.split(':')[0] === 'P';
    const head = timestamps && atStart ? `${time} ` : '';
    const output = stream === 'stderr' ? streams.stderr : streams.stdout;
    output.write(Buffer.concat([Buffer.from(head), content, Buffer.from(isPart ? '' : '\n')]));
    atStart = !isPart;
  };
}

/** A log as it grows. After a rotation the file at the path is another one, which is read from its start once the old one is read. */
class LogReader implements AsyncDisposable {
  readonly #path: string;
  #file: FileHandle;
  #unfinished = Buffer.alloc(0);

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<LogReader> {
    return new LogReader(path, await openLog(path));
  }

  /** The whole lines that have come since the last call. */
  async rest(): Promise<Buffer[]> {
    const lines = await this.#readOn();
    if (!(await this.#isRotated())) return lines;
    // What was written between the last read and the rotation.
    lines.push(...(await this.#readOn()));
    await this.#file.close();
    this.#file = await openLog(this.#path);
    this.#unfinished = Buffer.alloc(0);
    return [...lines, ...(await this.#readOn())];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }

  async #readOn(): Promise<Buffer[]> {
    const lines: Buffer[] = [];
    for (;;) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(READ_BYTES));
      if (bytesRead === 0) return lines;
      let text = Buffer.concat([this.#unfinished, buffer.subarray(0, bytesRead)]);
      for (let end = text.indexOf(LF); end !== -1; end = text.indexOf(LF)) {
        lines.push(text.subarray(0, end));
        text = text.subarray(end + 1);
      }
      this.#unfinished = Buffer.from(text);
    }
  }

  async #isRotated(): Promise<boolean> {
    try {
      const [ours, theirs] = [await this.#file.stat(), await stat(this.#path)];
      return ours.ino !== theirs.ino || ours.dev !== theirs.dev;
    } catch (error) {
      // Renamed, and the new one is not there yet.
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new BerthError('NOT_FOUND', `there is no log at ${path}`, { cause: error });
    throw error;
  }
}
