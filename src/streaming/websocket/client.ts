/** The client's side of WebSockets, for the command line. */
import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket } from 'ws';
import { BerthError } from '../../lib/errors.ts';
import { TUNNEL_PROTOCOL } from '../protocols.ts';

/** The longest answer of a server that does not upgrade. */
const MAX_ANSWER = 4_096;

/**
 * Connects to a URL of the streaming server. What it sends may come with its answer: it is taken from the start. Throws UNAVAILABLE
 * with the server's words when it refuses, and the signal's reason when that aborts before it has answered.
 */
export async function openWebSocket(
  url: string,
  protocols: readonly string[],
  onMessage: (message: Buffer) => void,
  { signal }: { readonly signal: AbortSignal },
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], { perMessageDeflate: false });
  socket.on('message', (data: Buffer) => onMessage(data));
  await opened(socket, url, signal);
  return socket;
}

/** A connection for SPDY through a WebSocket. Throws as openWebSocket() does. */
export async function openTunnel(url: string, { signal }: { readonly signal: AbortSignal }): Promise<Duplex> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), {
    perMessageDeflate: false,
    headers: { 'Sec-WebSocket-Protocol': TUNNEL_PROTOCOL },
  });
  // ws knows no protocol with a slash in its name: it is asked for, and its answer taken away, behind its back.
  socket.once('upgrade', (response: IncomingMessage) => {
    delete response.headers['sec-websocket-protocol'];
  });
  const tunnel = createWebSocketStream(socket);
  // Told by the rejection, or by its close.
  tunnel.on('error', () => undefined);
  await opened(socket, url, signal);
  return tunnel;
}

function opened(socket: WebSocket, url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = (): void => {
      reject(signal.reason as Error);
      socket.terminate();
    };
    const fail = (reason: string): void => {
      signal.removeEventListener('abort', cut);
      reject(new BerthError('UNAVAILABLE', `failed to connect to ${new URL(url).host}: ${reason}`));
    };
    socket.once('open', () => {
      socket.off('error', onError);
      signal.removeEventListener('abort', cut);
      resolve();
    });
    const onError = (error: Error): void => fail(error.message);
    socket.once('error', onError);
    socket.once('unexpected-response', (_request, response) => {
      let text = `${response.statusCode ?? 0} `;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text = (text + chunk).slice(0, MAX_ANSWER);
      });
      response.once('close', () => fail(text.trim()));
    });
    if (signal.aborted) cut();
    else signal.addEventListener('abort', cut, { once: true });
  });
}
