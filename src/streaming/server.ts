/**
 * The HTTP server behind the URLs of Exec, Attach and PortForward. A URL has a token that is good for one request within a minute;
 * the request is upgraded to SPDY/3.1 or WebSocket.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BerthError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { serveCommand } from './command.ts';
import { forwardPort } from './port-forward.ts';
import { COMMAND_PROTOCOLS, listOf, negotiate, PORT_FORWARD_PROTOCOLS } from './protocols.ts';
import type { StreamingLimits } from './limits.ts';
import { refuse, refuseProtocol } from './refuse.ts';
import type { StreamingRequest, StreamingRuntime } from './runtime.ts';
import { spdyCommand, spdyPorts } from './spdy/upgrade.ts';
import { Tokens } from './tokens.ts';
import { WebSocketUpgrade } from './websocket/upgrade.ts';

/** containerd's and kubelet's own, too. */
const LIMITS: StreamingLimits = { idleMs: 4 * 60 * 60 * 1_000, creationMs: 30_000, lingerMs: 30_000 };
/** A client whose machine has vanished says nothing: after so long without a word the kernel asks. */
const KEEP_ALIVE_MS = 30_000;
/** How long clients may take to go when Berth stops. */
const STOP_MS = 2_000;

export interface StreamingServerOptions {
  readonly address: string;
  /** 0 for any. */
  readonly port: number;
  readonly runtime: StreamingRuntime;
  readonly log: Logger;
  readonly limits?: Partial<StreamingLimits>;
}

export class StreamingServer {
  readonly #options: StreamingServerOptions;
  readonly #limits: StreamingLimits;
  readonly #tokens = new Tokens<StreamingRequest>();
  readonly #server: Server;
  readonly #webSockets: WebSocketUpgrade;
  /** Connections of clients, with what is done for them. */
  readonly #serving = new Map<Duplex, Promise<void>>();
  #url = '';

  constructor(options: StreamingServerOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#webSockets = new WebSocketUpgrade(this.#limits.lingerMs);
    const connections = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    this.#server = createServer(connections, (request, response) => {
      const found = this.#take(request) !== undefined;
      response.writeHead(found ? 400 : 404, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(
        found ? 'unable to upgrade: missing upgrade headers in request\n' : '404 page not found\n',
      );
    });
    this.#server.on('upgrade', (request, socket, head) => {
      if (socket instanceof Socket) this.#accept(request, socket, head);
      else socket.destroy();
    });
  }

  async start(): Promise<void> {
    const { address, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => {
        reject(
          new BerthError(
            'UNAVAILABLE',
            `failed to listen for streams on "${address}" port ${port}: ${error.message}`,
          ),
        );
      });
      this.#server.listen(port, address, resolve);
    });
    const bound = this.#server.address() as AddressInfo;
    const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
    this.#url = `http://${host}:${bound.port}`;
  }

  /** Ends every client's connection. */
  disconnectAll(): void {
    for (const socket of this.#serving.keys()) socket.destroy();
  }

  /** Ends every client's connection and waits for what was done for it to end. */
  async stop(): Promise<void> {
    this.disconnectAll();
    this.#server.closeAllConnections();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([Promise.all([closed, ...this.#serving.values()]), late]);
    clearTimeout(timer);
  }

  /** The URL at which a client gets what is asked for. Throws RESOURCE_EXHAUSTED when 1,000 URLs wait for their clients. */
  urlFor(request: StreamingRequest): string {
    return `${this.#url}/${request.kind}/${this.#tokens.add(request)}`;
  }

  #take({ url = '', method = '' }: IncomingMessage): StreamingRequest | undefined {
    const [, kind, token] = /^\/(exec|attach|portforward)\/([\w-]{1,64})(?:\?.*)?$/.exec(url) ?? [];
    if (token === undefined || !['GET', 'POST'].includes(method)) return undefined;
    const request = this.#tokens.take(token);
    return request?.kind === kind ? request : undefined;
  }

  #accept(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Whoever takes it over looks at its close.
    socket.on('error', () => undefined);
    const wanted = this.#take(request);
    if (wanted === undefined) {
      refuse(socket, 404, '404 page not found');
      return;
    }
    socket.setNoDelay(true);
    const upgrade = (request.headers.upgrade ?? '').toLowerCase();
    const serving = (
      upgrade === 'websocket'
        ? this.#serveWebSocket(wanted, request, socket, head)
        : this.#serveSpdy(wanted, request, socket, head)
    )
      .catch((error: unknown) => {
        socket.destroy();
        this.#options.log.error('streaming failed', { kind: wanted.kind, error: messageOf(error) });
      })
      .finally(() => this.#serving.delete(socket));
    this.#serving.set(socket, serving);
    // Not before: taking a WebSocket over sets it to none.
    socket.setTimeout(this.#limits.idleMs, () => socket.destroy());
  }

  async #serveSpdy(
    wanted: StreamingRequest,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): Promise<void> {
    const { runtime, log } = this.#options;
    const protocol = spdyHandshake(wanted, request, socket);
    if (protocol === undefined) return;
    if (head.length > 0) socket.unshift(head);
    if (wanted.kind === 'portforward') {
      await this.#forwardAll(wanted.podSandboxId, socket);
      return;
    }
    const connection = await spdyCommand(socket, wanted, protocol, this.#limits);
    if (connection !== undefined) await serveCommand(runtime, wanted, connection, log);
  }

  async #serveWebSocket(
    wanted: StreamingRequest,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): Promise<void> {
    const { runtime, log } = this.#options;
    if (wanted.kind !== 'portforward') {
      const connection = this.#webSockets.command(wanted, request, socket, head);
      if (connection !== undefined) await serveCommand(runtime, wanted, connection, log);
      return;
    }
    const tunnel = this.#webSockets.tunnel(request, socket, head);
    if (tunnel !== undefined) {
      await this.#forwardAll(wanted.podSandboxId, tunnel);
      return;
    }
    const ports = await this.#webSockets.ports(wanted, request, socket, head);
    if (ports === undefined) return;
    await Promise.all(ports.pairs.map((pair) => forwardPort(runtime, wanted.podSandboxId, pair, log)));
    await ports.close();
  }

  /** Forwards each pair that the client brings, until it is gone. */
  async #forwardAll(podSandboxId: string, transport: Duplex): Promise<void> {
    const { runtime, log } = this.#options;
    const forwarding = new Set<Promise<void>>();
    const { signal } = spdyPorts(transport, this.#limits, async (pair) => {
      const one = forwardPort(runtime, podSandboxId, pair, log);
      forwarding.add(one);
      await one;
      forwarding.delete(one);
    });
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
    await Promise.all(forwarding);
  }
}

/** Answers the upgrade; the protocol that both speak, or undefined when the request was refused. */
function spdyHandshake(
  wanted: StreamingRequest,
  request: IncomingMessage,
  socket: Socket,
): string | undefined {
  if (!(request.headers.upgrade ?? '').toLowerCase().includes('spdy/3.1')) {
    refuse(socket, 400, 'unable to upgrade: missing upgrade headers in request');
    return undefined;
  }
  const spoken = wanted.kind === 'portforward' ? PORT_FORWARD_PROTOCOLS : COMMAND_PROTOCOLS;
  const offered = listOf(request.headers['x-stream-protocol-version']);
  if (offered.length === 0) {
    refuse(socket, 400, 'unable to upgrade: header X-Stream-Protocol-Version is required');
    return undefined;
  }
  const protocol = negotiate(offered, spoken);
  if (protocol === undefined) {
    refuseProtocol(socket, offered, spoken);
    return undefined;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  return protocol;
}
