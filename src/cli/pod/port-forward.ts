import { Buffer } from 'node:buffer';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import { BerthError } from '../../lib/errors.ts';
import type { ByteChannel } from '../../streaming/channel.ts';
import { carry } from '../../streaming/port-forward.ts';
import { SpdySession } from '../../streaming/spdy/session.ts';
import { openTunnel } from '../../streaming/websocket/client.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { connect, connectionOptions } from '../connect.ts';
import { errorLine, Exit, UsageError } from '../exit.ts';
import { findPod } from './find.ts';

interface Forward {
  /** 0 for any that is free. */
  readonly local: number;
  readonly remote: number;
}

export const command = defineCommand({
  name: 'pod port-forward',
  summary: 'Reach ports of a pod from here, until interrupted',
  positionals: 'POD [LOCAL:]REMOTE...',
  arity: [2, Number.POSITIVE_INFINITY],
  options: {
    ...connectionOptions,
    bind: { type: 'string', value: 'ADDRESS', help: 'listen on this address, 127.0.0.1 by default' },
  },
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. LOCAL 0 is any port that is free. What listens on the pod's own loopback
is reached, over IPv4 and then IPv6. Each port is printed once it is listened on.`,
  async run(values, [given = '', ...ports], context) {
    const address = values.bind ?? '127.0.0.1';
    if (isIP(address) === 0) throw new UsageError(`--bind must be an IP address, not "${address}"`);
    const forwards = ports.map(parseForward);
    using client = await connect(values, context);
    const { id } = findPod(given, (await client.listPods()).items);
    const tunnel = await openTunnel(await client.portForward({ podSandboxId: id, port: [] }), context);
    const session = new SpdySession(tunnel, { role: 'client', windowed: true });
    const servers: Server[] = [];
    try {
      let serial = 0;
      for (const one of forwards) {
        const server = await listen(address, one.local, (socket) => {
          serial += 1;
          return forward(session, one.remote, String(serial), socket, context);
        });
        servers.push(server);
        const { port } = server.address() as AddressInfo;
        context.stdout(`${isIP(address) === 6 ? `[${address}]` : address}:${port} -> ${one.remote}\n`);
      }
      await over(session.signal, context.signal);
    } finally {
      for (const server of servers) server.close();
      session.destroy();
    }
    if (!context.signal.aborted) throw new BerthError('UNAVAILABLE', 'the connection was lost');
    return Exit.ok;
  },
});

/** `8080:80`, or `80` for the same port on both sides. Throws UsageError. */
export function parseForward(text: string): Forward {
  const [matched, local, remote = ''] = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text) ?? [];
  const forward = { local: Number(local ?? remote), remote: Number(remote) };
  if (matched === undefined || forward.local > 0xffff || forward.remote < 1 || forward.remote > 0xffff)
    throw new UsageError(`"${text}" must be [LOCAL:]REMOTE, ports up to 65535`);
  return forward;
}

function listen(address: string, local: number, accept: (socket: Socket) => Promise<void>): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => void accept(socket));
    server.once('error', (error) => {
      reject(new BerthError('UNAVAILABLE', `failed to listen on ${address} port ${local}: ${error.message}`));
    });
    server.listen(local, address, () => resolve(server));
  });
}

/** One connection: two streams of the session, for its data and for what may go wrong. */
async function forward(
  session: SpdySession,
  port: number,
  request: string,
  socket: Socket,
  context: CommandContext,
): Promise<void> {
  socket.on('error', () => undefined);
  const headers = (type: string): ReadonlyMap<string, string> =>
    new Map([
      ['streamtype', type],
      ['port', String(port)],
      ['requestid', request],
    ]);
  try {
    const error = session.open(headers('error'));
    error.end();
    const data = session.open(headers('data'));
    const failure = textOf(error);
    failure.catch(() => undefined);
    // A connection that our own client has cut is cut for the pod, too.
    await carry(socket, data, { signal: session.signal }).catch(() => undefined);
    data.reset();
    const text = await failure;
    if (text !== '') context.stderr(errorLine(new Error(text)));
  } catch (thrown) {
    socket.destroy();
    if (!session.signal.aborted) context.stderr(errorLine(thrown));
  }
}

async function textOf({ input }: ByteChannel): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function over(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    }
  });
}
