import { Buffer } from 'node:buffer';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Answers a request for an upgrade with an error, and ends the connection. */
export function refuse(socket: Socket, code: number, text: string, headers: readonly string[] = []): void {
  const body = `${text}\n`;
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** None of the protocols that the client offers is spoken here. */
export function refuseProtocol(socket: Socket, offered: readonly string[], spoken: readonly string[]): void {
  refuse(
    socket,
    403,
    `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${spoken.join(' ')}]`,
    spoken.map((protocol) => `X-Accepted-Stream-Protocol-Versions: ${protocol}`),
  );
}
