import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../helpers/fixture.ts';
import { bytesOf, textOf, textUntil } from '../../helpers/streaming/client.ts';
import { SpdyPorts } from '../../helpers/streaming/spdy.ts';
import { Channels, webSocketPorts } from '../../helpers/streaming/websocket.ts';
import type { Pod } from '../containers/rig.ts';
import { StreamingRig, TRANSPORTS, type Transport } from './rig.ts';

const [ECHO_PORT, IPV6_PORT, SOURCE_PORT, SINK_PORT] = [7_001, 7_002, 7_003, 7_004];

/** Listens on the loopback of the namespace that it runs in: an echo on each family, a source, and one that takes nothing. */
const SERVERS = `
const { createServer } = require('node:net');
const serve = (port, host, handle) =>
  createServer({ allowHalfOpen: true }, (socket) => handle(socket.on('error', () => {}))).listen({ port, host, ipv6Only: true });
serve(${ECHO_PORT}, '127.0.0.1', (socket) => socket.pipe(socket));
serve(${IPV6_PORT}, '::1', (socket) => socket.pipe(socket));
serve(${SOURCE_PORT}, '127.0.0.1', (socket) => socket.end(Buffer.alloc(20 << 20)));
serve(${SINK_PORT}, '127.0.0.1', (socket) => socket.pause()).on('listening', () => console.log('listening'));
`;

interface Inspected {
  readonly runtimeSpec: {
    readonly linux: { readonly namespaces: readonly { type: string; path?: string }[] };
  };
}

describe('port-forward', () => {
  let rig: StreamingRig;
  let pod: Pod;
  let servers: ChildProcessByStdio<null, Readable, null>;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('ports');
    const { info } = await rig.containers.daemon.client.podStatus(pod.id, true);
    const { runtimeSpec } = JSON.parse(info['info'] ?? '{}') as Inspected;
    const netns = runtimeSpec.linux.namespaces.find(({ type }) => type === 'network')?.path ?? '';
    servers = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', SERVERS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(servers.stdout, 'data');
  });

  after(async () => {
    servers.kill('SIGKILL');
    await once(servers, 'exit');
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  async function open(
    transport: Transport,
    sandbox = pod.id,
  ): Promise<{ ports: SpdyPorts } & AsyncDisposable> {
    const url = await rig.urls.portForward(sandbox);
    const ports = transport === 'SPDY' ? await SpdyPorts.open(url) : await webSocketPorts(url);
    return { ports, [Symbol.asyncDispose]: async () => ports.destroy() };
  }

  for (const transport of TRANSPORTS) {
    describe(`over ${transport}`, () => {
      it('reaches what listens on the loopback of the pod, many connections at once', async () => {
        await using opened = await open(transport);
        await Promise.all(
          Array.from({ length: 40 }, async (_, index) => {
            const { data, failure } = opened.ports.connect(ECHO_PORT);
            const sent = randomBytes(1_000 * index);
            const back = bytesOf(data.input);
            await data.write(sent);
            data.end();
            assert.ok((await back).equals(sent));
            assert.equal(await failure, '');
          }),
        );
        assert.equal(opened.ports.session.size, 0);
      });

      it('reaches what listens on IPv6 alone', async () => {
        await using opened = await open(transport);
        const { data } = opened.ports.connect(IPV6_PORT);
        await data.write(Buffer.from('six'));
        data.end();
        assert.equal(await textOf(data.input), 'six');
      });

      it('brings all of a large answer after the half-close of the client', async () => {
        await using opened = await open(transport);
        const { data } = opened.ports.connect(SOURCE_PORT);
        data.end();
        await sleep(1_500);
        assert.equal((await bytesOf(data.input)).length, 20 << 20);
      });

      it('says that nobody listens', async () => {
        await using opened = await open(transport);
        const { failure } = opened.ports.connect(9);
        assert.match(
          await failure,
          new RegExp(
            `^error forwarding port 9 to pod ${pod.id}, uid : failed to execute portforward in network namespace ".*": failed to connect ` +
              `to localhost:9 inside namespace "${pod.id}", IPv4: dial tcp4 127.0.0.1:9: connect: connection refused ` +
              'IPv6 dial tcp6 \\[::1\\]:9: connect: connection refused',
          ),
        );
      });

      it('lets a connection that is not read wait, and the others go on', async () => {
        await using opened = await open(transport);
        const slow = opened.ports.connect(SOURCE_PORT);
        const deaf = opened.ports.connect(SINK_PORT);
        const writing = (async () => {
          for (;;) await deaf.data.write(Buffer.alloc(64 * 1024));
        })();
        writing.catch(() => undefined);
        await sleep(300);
        const quick = opened.ports.connect(ECHO_PORT);
        await quick.data.write(Buffer.from('quick'));
        assert.equal(await textUntil(quick.data.input, /quick/), 'quick');
        assert.equal((await bytesOf(slow.data.input)).length, 20 << 20);
      });

      it('reaches a pod on the network of the host', async () => {
        const server = createServer((socket) => socket.end('host'));
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as { port: number };
        const host = await rig.containers.runPod(`host-${transport}`, {
          linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
        });
        await using opened = await open(transport, host.id);
        assert.equal(await textOf(opened.ports.connect(port).data.input), 'host');
        assert.match(await opened.ports.connect(9).failure, /network namespace "host": .*connection refused/);
        server.close();
      });

      it('leaves no descriptor behind when a client vanishes in the middle', async () => {
        const before = rig.descriptors();
        for (let count = 0; count < 5; count += 1) {
          await using opened = await open(transport);
          for (const port of [ECHO_PORT, SOURCE_PORT, SINK_PORT]) {
            const { data } = opened.ports.connect(port);
            data.write(Buffer.alloc(100_000)).catch(() => undefined);
            bytesOf(data.input).catch(() => undefined);
          }
          await sleep(20 * count);
        }
        await eventually('they are closed', () => (rig.descriptors() <= before ? true : undefined));
      });
    });
  }

  it('serves the channels of WebSocket clients', async () => {
    const channels = await Channels.open(
      await rig.urls.portForward(pod.id, [ECHO_PORT, 9]),
      ['v4.channel.k8s.io'],
      4,
    );
    const [data, , , failure] = channels.inputs;
    await data?.next();
    await failure?.next();
    await channels.send(0, Buffer.from('channel'));
    assert.equal(await textUntil(data, /channel/), 'channel');
    assert.match(await textUntil(failure, /refused/), /^error forwarding port 9 to pod/);
    await channels.close();
  });

  it('is refused for a sandbox that is not ready, and for ports that are none', async () => {
    const stopped = await rig.containers.runPod('stopped');
    await rig.containers.daemon.client.stop(stopped.id);
    await assert.rejects(rig.urls.portForward(stopped.id), /sandbox container is not running/);
    await assert.rejects(rig.urls.portForward(pod.id, [0]), /port/);
    await assert.rejects(rig.urls.portForward('f'.repeat(64)), /not found/);
  });
});
