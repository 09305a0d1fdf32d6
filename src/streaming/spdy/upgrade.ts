/** SPDY clients: their connection becomes a session, their streams what was asked for. */
import type { Duplex } from 'node:stream';
import type { ByteChannel } from '../channel.ts';
import type { CommandChannel, CommandConnection } from '../command.ts';
import type { PortPair } from '../port-forward.ts';
import type { StreamingLimits } from '../limits.ts';
import { COMMAND_PROTOCOLS } from '../protocols.ts';
import type { AttachRequest, ExecRequest } from '../runtime.ts';
import type { Headers } from './frames.ts';
import { SpdySession } from './session.ts';
import type { SpdyStream } from './stream.ts';

const CHANNELS: ReadonlySet<string> = new Set<CommandChannel>([
  'stdin',
  'stdout',
  'stderr',
  'error',
  'resize',
]);
const [V4, V3] = COMMAND_PROTOCOLS;

/** The connection once the client has opened every stream that its request implies; undefined when it does not within `creationMs`. */
export function spdyCommand(
  transport: Duplex,
  request: ExecRequest | AttachRequest,
  protocol: string,
  { creationMs, lingerMs }: StreamingLimits,
): Promise<CommandConnection | undefined> {
  const channels: Partial<Record<CommandChannel, ByteChannel>> = {};
  const wanted = wantedChannels(request, protocol);
  return new Promise((resolve) => {
    const session = new SpdySession(transport, {
      role: 'server',
      lingerMs,
      accept: (headers) => isNew(headers, channels),
      onStream(stream) {
        const name = typeOf(stream.headers) as CommandChannel;
        channels[name] = stream;
        // What the request does not ask for, or is only written to, would wait for a reader for ever.
        if (!wanted.includes(name) || (name !== 'stdin' && name !== 'resize')) stream.discardInput();
        if (wanted.every((name) => channels[name] !== undefined)) ready();
      },
    });
    const timer = setTimeout(() => session.destroy(), creationMs);
    session.signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    const ready = (): void => {
      clearTimeout(timer);
      resolve({
        channels: Object.fromEntries(wanted.map((name) => [name, channels[name]])),
        jsonStatus: protocol === V4,
        signal: session.signal,
        close: () => session.close(),
      });
    };
  });
}

function wantedChannels(request: ExecRequest | AttachRequest, protocol: string): CommandChannel[] {
  const outputs = (['stdin', 'stdout', 'stderr'] as const).filter((name) => request[name]);
  const hasResize = request.tty && (protocol === V4 || protocol === V3);
  return ['error', ...outputs, ...(hasResize ? (['resize'] as const) : [])];
}

function isNew(headers: Headers, channels: Partial<Record<string, ByteChannel>>): boolean {
  const type = typeOf(headers);
  return CHANNELS.has(type) && channels[type] === undefined;
}

/** Names are in lower case on the wire, whatever the protocol's documents write. */
function typeOf(headers: Headers): string {
  return headers.get('streamtype') ?? '';
}

/**
 * Every pair of streams that the client opens, as long as it is connected. A stream whose partner does not come within `creationMs` is
 * reset, with a word on it when it is the error stream.
 */
export function spdyPorts(
  transport: Duplex,
  { creationMs, lingerMs }: StreamingLimits,
  onPair: (pair: PortPair) => Promise<void>,
): SpdySession {
  const halves = new Map<string, { readonly stream: SpdyStream; readonly timer: NodeJS.Timeout }>();
  const session = new SpdySession(transport, {
    role: 'server',
    lingerMs,
    accept: (headers) => portOf(headers) !== undefined && ['error', 'data'].includes(typeOf(headers)),
    onStream(stream) {
      const request = requestOf(stream);
      const half = halves.get(request);
      if (half === undefined || typeOf(half.stream.headers) === typeOf(stream.headers)) {
        if (half !== undefined) {
          stream.reset();
          return;
        }
        const timer = setTimeout(() => {
          halves.delete(request);
          void giveUp(stream, request);
        }, creationMs);
        halves.set(request, { stream, timer });
        return;
      }
      halves.delete(request);
      clearTimeout(half.timer);
      const [data, error] = typeOf(stream.headers) === 'data' ? [stream, half.stream] : [half.stream, stream];
      void onPair({ port: portOf(data.headers) ?? 0, data, error, signal: session.signal });
    },
  });
  session.signal.addEventListener('abort', () => {
    for (const { timer } of halves.values()) clearTimeout(timer);
    halves.clear();
  });
  return session;
}

async function giveUp(stream: SpdyStream, request: string): Promise<void> {
  if (typeOf(stream.headers) === 'error') {
    const text = `(request=${request.slice(0, 64)}) timed out waiting for streams`;
    await stream.write(Buffer.from(text)).catch(() => undefined);
    stream.end();
  } else stream.reset();
  stream.discardInput();
}

function portOf(headers: Headers): number | undefined {
  const text = headers.get('port') ?? '';
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 0xffff ? port : undefined;
}

/** Clients older than request ids open the error stream first and the data stream next. */
function requestOf(stream: SpdyStream): string {
  const given = stream.headers.get('requestid') ?? '';
  if (given !== '') return given;
  return `stream ${typeOf(stream.headers) === 'error' ? stream.id : stream.id - 2}`;
}
