/** A WebSocket client of the streaming server, for any of its protocols. */
import { WebSocket } from 'ws';
import { InputQueue } from '../../../src/streaming/channel.ts';
import { SpdySession } from '../../../src/streaming/spdy/session.ts';
import { openTunnel } from '../../../src/streaming/websocket/client.ts';
import { type Command, type CommandOptions, RefusedError, textOf } from './client.ts';
import { SpdyPorts } from './spdy.ts';

const CHANNELS = ['stdin', 'stdout', 'stderr', 'error', 'resize'] as const;

export async function webSocketCommand(url: string, options: CommandOptions): Promise<Command> {
  const { protocols = ['v5.channel.k8s.io'], stdout = true, stderr = false } = options;
  const channels = await Channels.open(url, protocols, CHANNELS.length);
  const { inputs } = channels;
  const status = textOf(inputs[CHANNELS.indexOf('error')]);
  status.catch(() => undefined);
  return {
    stdout: stdout ? inputs[CHANNELS.indexOf('stdout')] : undefined,
    stderr: stderr ? inputs[CHANNELS.indexOf('stderr')] : undefined,
    status,
    write: (bytes) => channels.send(CHANNELS.indexOf('stdin'), Buffer.from(bytes)),
    endStdin: () => channels.raw(Buffer.from([255, CHANNELS.indexOf('stdin')])),
    resize: (width, height) =>
      channels.send(
        CHANNELS.indexOf('resize'),
        Buffer.from(JSON.stringify({ Width: width, Height: height })),
      ),
    ping: () => channels.socket.ping(),
    close: async () => channels.close(),
    destroy: () => channels.socket.terminate(),
    gone: channels.gone,
  };
}

/** Numbered channels, in binary or base64 messages as the protocol has it. */
export class Channels {
  readonly socket: WebSocket;
  readonly inputs: readonly InputQueue[];
  readonly gone: Promise<void>;

  private constructor(socket: WebSocket, count: number) {
    this.socket = socket;
    this.inputs = Array.from({ length: count }, () => new InputQueue(() => undefined));
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('message', (data: Buffer) => {
      const number = this.base64 ? (data[0] ?? 0) - 0x30 : (data[0] ?? 0);
      const rest = data.subarray(1);
      this.inputs[number]?.push(this.base64 ? Buffer.from(rest.toString(), 'base64') : rest);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const input of this.inputs) input.end();
    });
  }

  get base64(): boolean {
    return this.socket.protocol.includes('base64');
  }

  static async open(url: string, protocols: readonly string[], count: number): Promise<Channels> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], { perMessageDeflate: false });
    const channels = new Channels(socket, count);
    await opened(socket);
    return channels;
  }

  send(number: number, bytes: Uint8Array): Promise<void> {
    if (!this.base64) return this.raw(Buffer.concat([Buffer.from([number]), bytes]));
    return this.raw(`${String.fromCharCode(0x30 + number)}${Buffer.from(bytes).toString('base64')}`);
  }

  raw(message: Buffer | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.send(message, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.gone;
  }
}

/** SPDY in a WebSocket, as kubectl forwards ports. */
export async function webSocketPorts(url: string): Promise<SpdyPorts> {
  const tunnel = await openTunnel(url, { signal: new AbortController().signal });
  return new SpdyPorts(new SpdySession(tunnel, { role: 'client', windowed: true }), tunnel);
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      textOf(response).then(
        (text) => reject(new RefusedError(response.statusCode ?? 0, text, response.headers)),
        reject,
      );
    });
  });
}
