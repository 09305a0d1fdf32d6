import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import { BerthError, codeOf } from '../../lib/errors.ts';
import type { Client } from '../client.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { connect, connectionOptions } from '../connect.ts';
import { errorLine, Exit, UsageError } from '../exit.ts';
import { room } from '../room.ts';
import { containerOption, findContainer } from './container.ts';
import { LogReader } from './log-reader.ts';

const POLL_MS = 100;

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
    const notice = (text: string): void => context.stderr(errorLine(new Error(text)));
    await using log = await LogReader.open(path, notice);
    for await (const line of tail === undefined ? log.rest() : lastOf(log.rest(), tail)) await print(line);
    while (values.follow && !context.signal.aborted) {
      // What was written before it ended is read after that is known.
      const over = await hasEnded(client, id);
      for await (const line of log.rest()) await print(line);
      if (over) break;
      await sleep(POLL_MS, undefined, { signal: context.signal }).catch(() => undefined);
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

async function* lastOf(lines: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer, void, undefined> {
  const last: Buffer[] = [];
  for await (const line of lines) {
    // A copy: the line is a part of all that was read with it.
    last.push(Buffer.from(line));
    if (last.length > count) last.shift();
  }
  yield* last;
}

/** Also when it is removed: its log ends with it. */
async function hasEnded(client: Client, containerId: string): Promise<boolean> {
  try {
    const { status } = await client.containerStatus(containerId);
    return status?.state !== 'CONTAINER_RUNNING' && status?.state !== 'CONTAINER_CREATED';
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return true;
    throw error;
  }
}

/**
 * Writes one line of the CRI's format (`<time> <stdout|stderr> <P|F> <content>`) where its stream goes; a piece without its end. Resolves
 * when there is room for the next.
 */
export function printer(
  { streams, signal }: Pick<CommandContext, 'streams' | 'signal'>,
  timestamps: boolean,
): (line: Buffer) => Promise<void> {
  let atStart = true;
  return async (line) => {
    const [, time = '', stream, tag] = /^(\S+) (stdout|stderr) (\S+) /.exec(line.toString('latin1')) ?? [];
    if (stream === undefined || tag === undefined) return;
    const content = line.subarray(time.length + stream.length + tag.length + 3);
    const isPart = tag.split(':')[0] === 'P';
    const head = timestamps && atStart ? `${time} ` : '';
    const output = stream === 'stderr' ? streams.stderr : streams.stdout;
    atStart = !isPart;
    const hasRoom = output.write(
      Buffer.concat([Buffer.from(head), content, Buffer.from(isPart ? '' : '\n')]),
    );
    if (!hasRoom) await room(output, signal);
  };
}
