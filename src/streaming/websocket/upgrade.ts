/** WebSocket clients: which protocol they get, and their connection as the channels of it. */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import type { CommandConnection } from '../command.ts';
import type { PortPair } from '../port-forward.ts';
import {
  type ChannelProtocol,
  listOf,
  negotiate,
  TUNNEL_PROTOCOL,
  WEBSOCKET_COMMAND_PROTOCOLS,
  WEBSOCKET_PORT_PROTOCOLS,
} from '../protocols.ts';
import { refuseProtocol } from '../refuse.ts';
import type { AttachRequest, ExecRequest, PortForwardRequest } from '../runtime.ts';
import { WebSocketChannels } from './channels.ts';

/** Clients may send a large piece of stdin in one message. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const COMMAND_CHANNELS = ['stdin', 'stdout', 'stderr', 'error', 'resize'] as const;
const NOTHING = new Uint8Array(0);
/** Until ws itself gives up a client that was told to close: one that reads slowly has its time. */
const CLOSE_TIMEOUT_MS = 10 * 60_000;
const OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  closeTimeout: CLOSE_TIMEOUT_MS,
};

export interface PortConnection {
  readonly pairs: readonly PortPair[];
  close(): Promise<void>;
}

interface Opened {
  readonly webSocket: WebSocket;
  readonly protocol: ChannelProtocol;
}

export class WebSocketUpgrade {
  readonly #server = new WebSocketServer(OPTIONS);
  /** What is to be answered: ws knows no protocol with a slash in its name. */
  readonly #answers = new WeakMap<IncomingMessage, string>();

  readonly #lingerMs: number;

  /** @param lingerMs see StreamingLimits. */
  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
    this.#server.on('headers', (headers, request) => {
      const protocol = this.#answers.get(request) ?? '';
      if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
    });
  }

  /** Channels for a command; undefined when the client speaks none of the protocols and was told so. */
  command(
    wanted: ExecRequest | AttachRequest,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): CommandConnection | undefined {
    const opened = this.#open(request, socket, head, WEBSOCKET_COMMAND_PROTOCOLS);
    if (opened === undefined) return undefined;
    const { protocol } = opened;
    const connection = this.#channels(opened, socket, COMMAND_CHANNELS.length);
    const all = COMMAND_CHANNELS.map((name, number) => [name, connection.channels[number]] as const);
    const used = all.filter(([name]) => {
      if (name === 'error') return true;
      return name === 'resize' ? wanted.tty : wanted[name];
    });
    for (const [name, channel] of all) {
      const reads = (name === 'stdin' || name === 'resize') && used.some(([one]) => one === name);
      if (!reads) channel?.discardInput();
    }
    const channels: CommandConnection['channels'] = Object.fromEntries(used);
    // An empty message on the first channel that we write to tells the client that all is well.
    const first = channels.stdout ?? channels.stderr ?? channels.error;
    first?.write(NOTHING).catch(() => undefined);
    return {
      channels,
      jsonStatus: protocol.jsonStatus,
      signal: connection.signal,
      close: () => connection.close(),
    };
  }

  /** SPDY through the WebSocket, when the client wants that. */
  tunnel(request: IncomingMessage, socket: Socket, head: Buffer): Duplex | undefined {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    const protocol = negotiate(offered, [TUNNEL_PROTOCOL, ...WEBSOCKET_PORT_PROTOCOLS.keys()]);
    if (protocol !== TUNNEL_PROTOCOL) return undefined;
    const webSocket = this.#upgrade(request, socket, head, protocol);
    return webSocket === undefined ? undefined : createWebSocketStream(webSocket);
  }

  /**
   * Two channels for each port, data and errors. The port goes over both first, in two bytes, little end first. Undefined when the
   * client speaks none of the protocols and was told so, or is gone.
   */
  async ports(
    wanted: PortForwardRequest,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): Promise<PortConnection | undefined> {
    const opened = this.#open(request, socket, head, WEBSOCKET_PORT_PROTOCOLS);
    if (opened === undefined) return undefined;
    const connection = this.#channels(opened, socket, 2 * wanted.ports.length);
    const pairs = wanted.ports.flatMap((port, index): PortPair[] => {
      const [data, error] = connection.channels.slice(2 * index, 2 * index + 2);
      return data === undefined || error === undefined
        ? []
        : [{ port, data, error, signal: connection.signal }];
    });
    try {
      for (const { port, data, error } of pairs) {
        const number = Buffer.from([port & 0xff, port >> 8]);
        await data.write(number);
        await error.write(number);
      }
    } catch {
      return undefined;
    }
    return { pairs, close: () => connection.close() };
  }

  #channels({ webSocket, protocol }: Opened, socket: Socket, count: number): WebSocketChannels {
    return new WebSocketChannels(webSocket, socket, protocol, { count, lingerMs: this.#lingerMs });
  }

  /** With the first of the client's protocols that is spoken; one that names none gets what has no name. */
  #open(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    spoken: ReadonlyMap<string, ChannelProtocol>,
  ): Opened | undefined {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    const name = offered.length === 0 ? '' : negotiate(offered, spoken.keys());
    const protocol = name === undefined ? undefined : spoken.get(name);
    if (name === undefined || protocol === undefined) {
      refuseProtocol(
        socket,
        offered,
        [...spoken.keys()].filter((one) => one !== ''),
      );
      return undefined;
    }
    const webSocket = this.#upgrade(request, socket, head, name);
    return webSocket === undefined ? undefined : { webSocket, protocol };
  }

  /** Undefined for a request that is no WebSocket's; ws has answered it. ws calls back before it returns. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer, protocol: string): WebSocket | undefined {
    delete request.headers['sec-websocket-protocol'];
    this.#answers.set(request, protocol);
    let upgraded: WebSocket | undefined;
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      upgraded = webSocket;
    });
    return upgraded;
  }
}
