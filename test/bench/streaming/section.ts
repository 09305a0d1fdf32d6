import { once } from 'node:events';
import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Cleanup } from '../../helpers/cleanup.ts';
import type { Command } from '../../helpers/streaming/client.ts';
import { SpdyPorts, spdyCommand } from '../../helpers/streaming/spdy.ts';
import { Channels, webSocketCommand } from '../../helpers/streaming/websocket.ts';
import type { Budget } from '../budgets.ts';
import { Samples } from '../measure.ts';
import { type Scale, say } from '../section.ts';
import { columns, number } from '../tables.ts';
import { type Contestant, startContestants } from './contestants.ts';

interface Plan {
  /** How often the contestants are gone through. */
  readonly rounds: number;
  /** Commands one after the other in each round. */
  readonly execs: number;
  readonly megabytes: number;
}

const full: Plan = { rounds: 7, execs: 10, megabytes: 256 };
const quick: Plan = { rounds: 3, execs: 8, megabytes: 64 };

// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP_ROUNDS = 8;

/** What both servers speak. */
const PROTOCOL = 'v4.channel.k8s.io';
/** As the SPDY clients of kubelet and kubectl are, and containerd's server: they know no windows. */
const WINDOWED = false;
/** What channels of ports begin with: the port. */
const PORT_BYTES = 2;

type Results = ReadonlyMap<Contestant['name'], Samples>;

const operations = {
  exec: 'exec of true',
  stdout: 'stdout of an exec',
  port: 'port-forward',
} as const;

/** How a client talks to a server. */
interface Transport {
  readonly name: 'SPDY' | 'WebSocket';
  command(contestant: Contestant, cmd: readonly string[]): Promise<Command>;
  /** What a server at this port says, of so many bytes. */
  receive(contestant: Contestant, port: number, bytes: number): Promise<number>;
}

const spdy: Transport = {
  name: 'SPDY',
  command: async ({ urls, containerId }, cmd) =>
    spdyCommand(await urls.exec(containerId, cmd), { protocols: [PROTOCOL] }, WINDOWED),
  async receive({ urls, podId }, port, bytes) {
    const ports = await SpdyPorts.open(await urls.portForward(podId), WINDOWED);
    try {
      return await timeOf(ports.connect(port).data.input, bytes);
    } finally {
      ports.destroy();
    }
  },
};

const webSocket: Transport = {
  name: 'WebSocket',
  command: async ({ urls, containerId }, cmd) =>
    webSocketCommand(await urls.exec(containerId, cmd), {
      protocols: [PROTOCOL],
    }),
  async receive({ urls, podId }, port, bytes) {
    const { inputs, socket } = await Channels.open(await urls.portForward(podId, [port]), [PROTOCOL], 2);
    try {
      return await timeOf(inputs[0], PORT_BYTES + bytes);
    } finally {
      socket.terminate();
    }
  },
};

const transports = [spdy, webSocket];

/** The rows about the streaming server, against containerd's own. */
export async function measureStreaming({ quick: isQuick }: Scale): Promise<Budget[]> {
  const plan = isQuick ? quick : full;
  await using cleanup = new Cleanup();
  const bytes = plan.megabytes << 20;
  const port = await serveBytes(cleanup, bytes);
  const contestants = await startContestants(cleanup);
  const results: Results = new Map(contestants.map(({ name }) => [name, new Samples()]));
  const each = async (samplesOf: (contestant: Contestant) => Samples): Promise<void> => {
    for (const transport of transports)
      for (const contestant of contestants) {
        const samples = samplesOf(contestant);
        for (let i = 0; i < plan.execs; i += 1) await execTrue(transport, contestant, samples);
        await stdout(transport, contestant, samples, plan.megabytes);
        const ms = await transport.receive(contestant, port, bytes);
        samples.add(key(transport, operations.port), ms);
      }
  };
  say('warming up');
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await each(() => new Samples());
  for (let round = 0; round < plan.rounds; round += 1)
    await each(({ name }) => results.get(name) ?? new Samples());
  say(`\n${resultTable(results, bytes)}\n`);
  return budgets(results);
}

/** From the question for its URL to its outcome. */
async function execTrue(transport: Transport, contestant: Contestant, samples: Samples): Promise<void> {
  const status = await samples.time(key(transport, operations.exec), async () => {
    const command = await transport.command(contestant, ['true']);
    try {
      return await command.status;
    } finally {
      command.destroy();
    }
  });
  if (!status.includes('Success')) throw new Error(`${contestant.name}: exec ended with "${status}"`);
}

async function stdout(
  transport: Transport,
  contestant: Contestant,
  samples: Samples,
  megabytes: number,
): Promise<void> {
  const dd = ['busybox', 'dd', 'if=/dev/zero', 'bs=1M', `count=${megabytes}`];
  const command = await transport.command(contestant, dd);
  try {
    samples.add(key(transport, operations.stdout), await timeOf(command.stdout, megabytes << 20));
  } finally {
    command.destroy();
  }
}

/** From the first bytes to the last of so many; containerd may end a stream a while after them. */
async function timeOf(chunks: AsyncIterable<Uint8Array> | undefined, bytes: number): Promise<number> {
  let began: number | undefined;
  let left = bytes;
  for await (const chunk of chunks ?? []) {
    began ??= performance.now();
    left -= chunk.length;
    if (left <= 0) return performance.now() - began;
  }
  throw new Error(`${left} bytes are missing`);
}

/** Says so many bytes to whoever connects to the port. */
async function serveBytes(cleanup: Cleanup, bytes: number): Promise<number> {
  const all = Buffer.alloc(bytes);
  const server = createServer((socket) => socket.on('error', () => undefined).end(all));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.defer(async () => void server.close());
  return (server.address() as { port: number }).port;
}

function budgets(results: Results): Budget[] {
  return transports.flatMap((transport) =>
    Object.values(operations).map((operation) => ({
      what: `${operation} over ${transport.name}, against containerd's streaming server`,
      measured:
        p50(results, 'berth', key(transport, operation)) /
        p50(results, 'containerd', key(transport, operation)),
      limit: 1,
      unit: '×' as const,
    })),
  );
}

function resultTable(results: Results, bytes: number): string {
  const rows = transports.flatMap((transport) =>
    Object.values(operations).map((operation) => [
      `${key(transport, operation)}, ${operation === operations.exec ? 'ms' : 'MB/s'}`,
      ...[...results.keys()].map((name) => {
        const ms = p50(results, name, key(transport, operation));
        return number(operation === operations.exec ? ms : bytes / 1e3 / ms);
      }),
    ]),
  );
  return columns([['p50', ...results.keys()], ...rows]);
}

function key(transport: Transport, operation: string): string {
  return `${operation} over ${transport.name}`;
}

function p50(results: Results, name: Contestant['name'], operation: string): number {
  return results.get(name)?.p50(operation) ?? Number.NaN;
}
