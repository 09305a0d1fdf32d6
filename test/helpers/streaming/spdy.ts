/** A SPDY client of the streaming server, as client-go's is, save that it can do flow control. */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { SpdySession } from '../../../src/streaming/spdy/session.ts';
import type { SpdyStream } from '../../../src/streaming/spdy/stream.ts';
import {
  type Command,
  type CommandOptions,
  type PortStreams,
  RefusedError,
  textOf,
  textUntilLost,
} from './client.ts';

/** Upgrades; throws a RefusedError with the server's answer. */
export async function upgradeToSpdy(
  url: string,
  protocols: readonly string[],
): Promise<{ socket: Duplex; protocol: string }> {
  const sent = request(url, {
    method: 'POST',
    agent: false,
    headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': [...protocols] },
  });
  sent.end();
  return new Promise((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response) => {
      textOf(response).then(
        (text) => reject(new RefusedError(response.statusCode ?? 0, text, response.headers)),
        reject,
      );
    });
    sent.on('upgrade', (response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({
        socket,
        protocol: String(response.headers['x-stream-protocol-version'] ?? ''),
      });
    });
  });
}

/** @param windowed keeps to windows and announces them; the clients of kubelet and kubectl do not. */
export async function spdyCommand(url: string, options: CommandOptions, windowed = true): Promise<Command> {
  const {
    protocols = ['v4.channel.k8s.io'],
    stdin = false,
    stdout = true,
    stderr = false,
    tty = false,
  } = options;
  const { socket } = await upgradeToSpdy(url, protocols);
  const session = new SpdySession(socket, { role: 'client', windowed });
  const open = (type: string): SpdyStream => session.open(new Map([['streamtype', type]]));
  const error = open('error');
  const input = stdin ? open('stdin') : undefined;
  const output = stdout ? open('stdout') : undefined;
  const errors = stderr ? open('stderr') : undefined;
  const size = tty ? open('resize') : undefined;
  const status = textUntilLost(error.input);
  return {
    stdout: output?.input,
    stderr: errors?.input,
    status,
    write: async (bytes) => input?.write(Buffer.from(bytes)),
    endStdin: async () => input?.end(),
    resize: async (width, height) =>
      size?.write(Buffer.from(JSON.stringify({ Width: width, Height: height }))),
    ping: () => void session.ping().catch(() => undefined),
    close: () => session.close(),
    destroy: () => socket.destroy(),
    gone: new Promise((resolve) => socket.once('close', () => resolve())),
  };
}

/** Ports over one session; each connection is a pair of streams. */
export class SpdyPorts {
  readonly session: SpdySession;
  readonly #socket: { destroy(): unknown };
  #serial = 0;

  constructor(session: SpdySession, socket: { destroy(): unknown }) {
    this.session = session;
    this.#socket = socket;
  }

  static async open(url: string, windowed = true): Promise<SpdyPorts> {
    const { socket } = await upgradeToSpdy(url, ['portforward.k8s.io']);
    return new SpdyPorts(new SpdySession(socket, { role: 'client', windowed }), socket);
  }

  connect(port: number): PortStreams {
    this.#serial += 1;
    const open = (type: string): SpdyStream =>
      this.session.open(
        new Map([
          ['streamtype', type],
          ['port', String(port)],
          ['requestid', String(this.#serial)],
        ]),
      );
    const error = open('error');
    error.end();
    const data = open('data');
    const failure = textOf(error.input);
    failure.catch(() => undefined);
    return { data, failure, reset: () => data.reset() };
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
