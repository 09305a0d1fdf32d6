/** A person's side of exec and attach: the process's own streams on the channels of a WebSocket. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { makeRaw } from '../../kernel/terminal.ts';
import { BerthError, wrap } from '../../lib/errors.ts';
import { openWebSocket } from '../../streaming/websocket/client.ts';
import type { CommandContext, OptionSpecs, ProcessStreams } from '../command.ts';
import { connectionOptions } from '../connect.ts';
import { Exit, UsageError } from '../exit.ts';
import { room } from '../room.ts';

/** The flags of both: -t is a terminal, as with kubectl and crictl, and leaves the timeout its long name. */
export const sessionOptions = {
  ...connectionOptions,
  timeout: { type: 'string', value: 'SECONDS', help: connectionOptions.timeout.help },
  stdin: { type: 'boolean', short: 'i', help: 'pass our stdin on' },
  tty: {
    type: 'boolean',
    short: 't',
    help: 'a terminal: keys are passed on as they are pressed, and its size',
  },
} as const satisfies OptionSpecs;

const CLOSABLE = 'v5.channel.k8s.io';
const PROTOCOLS = [CLOSABLE, 'v4.channel.k8s.io'];
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;

/** Which streams there are; a terminal has no stderr of its own. Throws a UsageError for a terminal that we have not. */
export function sessionStreams(
  { stdin, tty }: { readonly stdin: boolean; readonly tty: boolean },
  { streams }: CommandContext,
): { stdin: boolean; stdout: true; stderr: boolean; tty: boolean } {
  if (tty && stdin && streams.stdin.isTTY !== true)
    throw new UsageError('--tty with --stdin needs a terminal, and stdin is none');
  return { stdin, stdout: true, stderr: !tty, tty };
}

/** Runs until the command or the session is over, and returns the command's exit code. Throws what the server says of a failure. */
export async function runSession(
  url: string,
  { stdin, tty }: { readonly stdin: boolean; readonly tty: boolean },
  { streams, signal }: CommandContext,
): Promise<number> {
  const status: Buffer[] = [];
  let isWaiting = false;
  const connection: { socket?: WebSocket } = {};
  const outputs: Readonly<Record<number, Writable>> = { [STDOUT]: streams.stdout, [STDERR]: streams.stderr };
  const take = (message: Buffer): void => {
    const channel = message[0] ?? -1;
    const bytes = message.subarray(1);
    if (channel === ERROR) status.push(bytes);
    const output = outputs[channel];
    if (output === undefined || output.write(bytes) || isWaiting) return;
    // Our reader is slow: so is the command then. What has come already is still told.
    isWaiting = true;
    connection.socket?.pause();
    void room(output, signal).then(() => {
      isWaiting = false;
      connection.socket?.resume();
    });
  };
  const socket = await openWebSocket(url, PROTOCOLS, take, { signal });
  connection.socket = socket;
  const cut = (): void => socket.terminate();
  signal.addEventListener('abort', cut, { once: true });
  let unreadable: Error | undefined;
  streams.stdin.once('error', (error) => (unreadable = error));
  const closed = once(socket, 'close');
  socket.on('error', () => undefined);
  const terminal = tty && stdin ? streams.stdin.fd : undefined;
  const restore = terminal === undefined ? undefined : makeRaw(terminal);
  try {
    if (tty) followSize(socket, streams);
    if (stdin) void sendStdin(socket, streams).catch(cut);
    await closed;
  } finally {
    restore?.();
    signal.removeEventListener('abort', cut);
    streams.stdin.destroy();
  }
  signal.throwIfAborted();
  if (unreadable !== undefined && status.length === 0) throw wrap('failed to read stdin', unreadable);
  return codeOfStatus(Buffer.concat(status).toString());
}

async function sendStdin(socket: WebSocket, { stdin }: ProcessStreams): Promise<void> {
  for await (const chunk of stdin as AsyncIterable<Buffer>) await send(socket, STDIN, chunk);
  if (socket.protocol === CLOSABLE) await send(socket, CLOSE, Buffer.from([STDIN]));
}

function followSize(socket: WebSocket, { stdout }: ProcessStreams): void {
  const tell = (): void => {
    const { columns: Width, rows: Height } = stdout;
    if (Width === undefined || Height === undefined) return;
    send(socket, RESIZE, Buffer.from(JSON.stringify({ Width, Height }))).catch(() => undefined);
  };
  stdout.on('resize', tell);
  socket.once('close', () => stdout.off('resize', tell));
  tell();
}

function send(socket: WebSocket, channel: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(Buffer.concat([Buffer.from([channel]), bytes]), (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

/** 0, or the code of the command; a failure of anything else is thrown. */
export function codeOfStatus(text: string): number {
  if (text === '') throw new BerthError('UNAVAILABLE', 'the connection was lost');
  const status = parseStatus(text);
  if (status.status === 'Success') return Exit.ok;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? '';
  if (/^[1-9]\d{0,8}$/.test(code)) return Number(code);
  throw new BerthError('UNKNOWN', status.message ?? 'the server says only that it failed');
}

/** A Status as any server may send it. */
interface AnyStatus {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

function parseStatus(text: string): AnyStatus {
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === 'object' && status !== null) return status;
  } catch {
    // Told below.
  }
  throw new BerthError('INTERNAL', `the server ended with what is no status: ${text.slice(0, 200)}`);
}
