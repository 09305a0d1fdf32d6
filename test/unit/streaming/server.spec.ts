import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecRequest, StreamingRuntime } from '../../../src/streaming/runtime.ts';
import { SpdySession } from '../../../src/streaming/spdy/session.ts';
import { eventually } from '../../helpers/fixture.ts';
import {
  bytesOf,
  type Command,
  type CommandOptions,
  RefusedError,
  textOf,
} from '../../helpers/streaming/client.ts';
import { Serving } from '../../helpers/streaming/serving.ts';
import { SpdyPorts, spdyCommand, upgradeToSpdy } from '../../helpers/streaming/spdy.ts';
import { Channels, webSocketCommand } from '../../helpers/streaming/websocket.ts';

const EXEC: ExecRequest = {
  kind: 'exec',
  containerId: 'c',
  cmd: ['cmd'],
  tty: false,
  stdin: true,
  stdout: true,
  stderr: true,
};

const PORTS = { kind: 'portforward', podSandboxId: 'p', ports: [] } as const;

type Open = (url: string, options: CommandOptions) => Promise<Command>;

const OPENERS: readonly (readonly [string, Open, readonly string[]])[] = [
  ...['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'].map(
    (protocol) => [`SPDY ${protocol}`, spdyCommand, [protocol]] as const,
  ),
  ['WebSocket v5.channel.k8s.io', webSocketCommand, ['v5.channel.k8s.io']],
];

describe('the streaming server', () => {
  const serving = new Serving();
  const serve = serving.serve.bind(serving);

  afterEach(() => serving.end());

  for (const [name, open, protocols] of OPENERS) {
    it(`serves a command over ${name}`, async () => {
      const server = await serve({});
      const command = await open(server.urlFor(EXEC), { protocols, stdin: true, stdout: true, stderr: true });
      await command.write('hello ');
      await command.write('world');
      await command.endStdin();
      assert.equal(await textOf(command.stdout), 'hello world');
      assert.equal(await textOf(command.stderr), 'done');
      const status = await command.status;
      if (/v[45]/.test(name)) assert.match(status, /"reason":"ExitCode","message":"3"/);
      else
        assert.equal(
          status,
          'command terminated with non-zero exit code: error executing command [cmd], exit code 3',
        );
      await command.gone;
    });
  }

  for (const protocol of [
    'v4.channel.k8s.io',
    'v4.base64.channel.k8s.io',
    'channel.k8s.io',
    'base64.channel.k8s.io',
    '',
  ]) {
    it(`serves a command over WebSocket ${protocol === '' ? 'without a protocol' : protocol}`, async () => {
      const exec: StreamingRuntime['exec'] = async (_request, { stdin, stdout }) => {
        const first = await stdin?.[Symbol.asyncIterator]().next();
        await stdout?.((first?.value ?? Buffer.alloc(0)) as Uint8Array);
        return 0;
      };
      const server = await serve({ exec });
      const channels = await Channels.open(server.urlFor(EXEC), protocol === '' ? [] : [protocol], 5);
      await channels.send(0, Buffer.from([0, 1, 255]));
      const [, out, , error] = channels.inputs;
      assert.equal(await textOf(out), Buffer.from([0, 1, 255]).toString());
      assert.equal(
        await textOf(error),
        protocol.startsWith('v4') ? '{"metadata":{},"status":"Success"}' : '',
      );
    });
  }

  for (const [name, open] of [
    ['SPDY', spdyCommand],
    ['WebSocket', webSocketCommand],
  ] as const) {
    it(`brings chunks of any size over ${name}, between the answers to a client's pings`, async () => {
      const sizes = [1, 124, 125, 126, 65_533, 65_534, 65_535, 65_536, 65_537, 1 << 20];
      const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1));
      const exec: StreamingRuntime['exec'] = async (_request, { stdout }) => {
        for (const chunk of chunks) {
          await stdout?.(Buffer.from(chunk));
          await sleep(1);
        }
        return 0;
      };
      const server = await serve({ exec });
      const command = await open(server.urlFor(EXEC), { stdin: true, stderr: true });
      const pinging = setInterval(() => command.ping(), 1);
      const all = await bytesOf(command.stdout);
      clearInterval(pinging);
      assert.ok(all.equals(Buffer.concat(chunks)));
      assert.match(await command.status, /Success/);
    });
  }

  it('refuses a client with whom it has no protocol in common, and says which it has', async () => {
    const server = await serve({});
    const refusedWith = (expected: RegExp) => (error: unknown) => {
      assert.ok(error instanceof RefusedError);
      assert.equal(error.code, 403);
      assert.match(String(error.headers['x-accepted-stream-protocol-versions']), expected);
      return true;
    };
    await assert.rejects(
      upgradeToSpdy(server.urlFor(EXEC), ['v9']),
      refusedWith(/^v4.*, v3.*, v2.*, channel/),
    );
    await assert.rejects(
      upgradeToSpdy(server.urlFor(PORTS), ['v4.channel.k8s.io']),
      refusedWith(/^portforward.k8s.io$/),
    );
    await assert.rejects(Channels.open(server.urlFor(EXEC), ['v9'], 5), refusedWith(/v5.channel.k8s.io/));
    await assert.rejects(upgradeToSpdy(server.urlFor(EXEC), []), { code: 400 });
  });

  it('knows a token once, and only for what it was given', async () => {
    const server = await serve({});
    const url = server.urlFor(EXEC);
    const first = await spdyCommand(url, { stdin: true, stderr: true });
    await assert.rejects(upgradeToSpdy(url, ['v4.channel.k8s.io']), { code: 404 });
    await assert.rejects(
      upgradeToSpdy(server.urlFor(EXEC).replace('/exec/', '/attach/'), ['v4.channel.k8s.io']),
      {
        code: 404,
      },
    );
    first.destroy();
    assert.equal((await fetch(url)).status, 404);
    assert.equal((await fetch(server.urlFor(EXEC))).status, 400);
    assert.equal((await fetch(new URL('/', url))).status, 404);
  });

  it('tells the runtime when a client vanishes', async () => {
    for (const open of [spdyCommand, webSocketCommand]) {
      let gone: AbortSignal | undefined;
      const exec: StreamingRuntime['exec'] = async (_request, _streams, signal) => {
        gone = signal;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        throw signal.reason;
      };
      const server = await serve({ exec });
      const command = await open(server.urlFor(EXEC), { stdin: true, stderr: true });
      await eventually('it runs', () => gone);
      command.destroy();
      await eventually('it is told', () => (gone?.aborted === true ? true : undefined));
    }
  });

  it('ends a connection on which nothing happens, and what is done for it', async () => {
    const told: string[] = [];
    const until = (name: string, signal: AbortSignal): Promise<never> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          told.push(name);
          reject(signal.reason as Error);
        });
      });
    const server = await serve(
      {
        exec: (_request, _streams, signal) => until('exec', signal),
        connect: (_id, _port, signal) => until('connect', signal),
      },
      // Long enough for each to be opened before it is over.
      { idleMs: 1_500 },
    );
    const [spdy, webSocket, ports] = [
      await spdyCommand(server.urlFor(EXEC), { stdin: true, stderr: true }),
      await webSocketCommand(server.urlFor(EXEC), {}),
      await SpdyPorts.open(server.urlFor(PORTS)),
    ];
    ports.connect(80);
    await Promise.all([spdy.gone, webSocket.gone, aborted(ports.session.signal)]);
    await eventually('all were told', () => (told.length === 3 ? true : undefined));
    assert.deepEqual(told.sort(), ['connect', 'exec', 'exec']);
  });

  it('keeps a connection on which one side alone says something now and then', async () => {
    for (const open of [spdyCommand, webSocketCommand]) {
      const exec: StreamingRuntime['exec'] = async (_request, { stdout }) => {
        for (let count = 0; count < 20; count += 1) {
          await sleep(100);
          await stdout?.(Buffer.from('.'));
        }
        return 0;
      };
      const server = await serve({ exec }, { idleMs: 1_500 });
      const command = await open(server.urlFor(EXEC), { stdin: true, stderr: true });
      assert.equal(await textOf(command.stdout), '.'.repeat(20));
      assert.match(await command.status, /Success/);
    }
  });

  it('ends a SPDY client that does not open its streams in time, and runs nothing for it', async () => {
    let runs = 0;
    const exec: StreamingRuntime['exec'] = async () => (runs += 1);
    const server = await serve({ exec }, { creationMs: 100 });
    const url = server.urlFor(EXEC);
    const { socket } = await upgradeToSpdy(url, ['v4.channel.k8s.io']);
    const session = new SpdySession(socket, { role: 'client' });
    for (const type of ['error', 'stdin', 'stdout']) session.open(new Map([['streamtype', type]]));
    await aborted(session.signal);
    // The one stream that is missing comes too late, and its URL is used up.
    await assert.rejects(upgradeToSpdy(url, ['v4.channel.k8s.io']), { code: 404 });
    assert.equal(runs, 0);
    // Nothing is left that the server's end would have to wait for.
    const began = performance.now();
    await server.stop();
    assert.ok(performance.now() - began < 2_000);
  });

  it('does not end a SPDY client that has opened its streams in time', async () => {
    const server = await serve({}, { creationMs: 1_000 });
    const command = await spdyCommand(server.urlFor(EXEC), { stdin: true, stderr: true });
    // Once the time is over for one that came later, it is over for the first.
    const { socket } = await upgradeToSpdy(server.urlFor(EXEC), ['v4.channel.k8s.io']);
    await aborted(new SpdySession(socket, { role: 'client' }).signal);
    await command.write('late');
    await command.endStdin();
    assert.equal(await textOf(command.stdout), 'late');
  });

  it('takes what comes on a stream that the request does not ask for, and keeps none of it', async () => {
    let end: (exitCode: number) => void = () => undefined;
    const ended = new Promise<number>((resolve) => (end = resolve));
    const server = await serve({ exec: () => ended });
    const url = server.urlFor({ ...EXEC, stdin: false });
    const command = await spdyCommand(url, { stdin: true, stderr: true });
    await command.write(Buffer.alloc(8 * 1024 * 1024));
    end(0);
    assert.match(await command.status, /Success/);
  });

  it('has the kernel ask whether the machine of a silent client is still there', async () => {
    const server = await serve({});
    const { hostname, port } = new URL(server.urlFor(EXEC));
    const client = connect({ host: hostname, port: Number(port) });
    await once(client, 'connect');
    const local = `:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`;
    await eventually('its timer is that of keep-alive', () => {
      const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
      const fields = lines.map((line) => line.trim().split(/\s+/));
      const accepted = fields.find(([, address = '', , state]) => address.endsWith(local) && state === '01');
      return accepted?.[5]?.startsWith('02:') === true ? true : undefined;
    });
    client.destroy();
  });

  it('tells a WebSocket client with the outcome that the connection is over, before the client has answered', async () => {
    let gone: AbortSignal | undefined;
    const exec: StreamingRuntime['exec'] = async (_request, _streams, signal) => {
      gone = signal;
      return 0;
    };
    const server = await serve({ exec });
    const { hostname, port, pathname } = new URL(server.urlFor(EXEC));
    const client = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const head = [`GET ${pathname} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'];
    const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`;
    client.write([...head, 'Sec-WebSocket-Version: 13', key, '', ''].join('\r\n'));
    const received: Buffer[] = [];
    client.on('data', (bytes: Buffer) => void received.push(bytes));
    await once(client, 'end');
    // One that it has given up is closed by then.
    await sleep(10);
    assert.equal(gone?.aborted, false, 'the server has given the client up');
    // RFC 6455, 5.5.1: the code 1000 in a frame of two bytes.
    assert.deepEqual([...Buffer.concat(received).subarray(-4)], [0x88, 2, 0x03, 0xe8]);
    // Our answer, masked, is read all the same, and is the end.
    client.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
    await once(client, 'close');
  });

  it('refuses what is no WebSocket once, and says so', async () => {
    const server = await serve({});
    for (const [wanted, protocol] of [
      [EXEC, 'v5.channel.k8s.io'],
      [PORTS, 'v4.channel.k8s.io'],
      [PORTS, 'SPDY/3.1+portforward.k8s.io'],
    ] as const) {
      const { hostname, port, pathname } = new URL(server.urlFor(wanted));
      const client = connect({ host: hostname, port: Number(port) });
      const head = [`GET ${pathname} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'];
      client.write(
        [...head, 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Protocol: ${protocol}`, '', ''].join('\r\n'),
      );
      const answer = await textOf(client);
      assert.equal(answer.match(/HTTP\/1\.1 400/g)?.length, 1, `${protocol}: ${answer}`);
    }
  });

  it('makes a command wait for a client that does not read', async () => {
    for (const open of [spdyCommand, webSocketCommand]) {
      let written = 0;
      const exec: StreamingRuntime['exec'] = async (_request, { stdout }, signal) => {
        while (!signal.aborted) {
          await stdout?.(Buffer.alloc(32 * 1024));
          written += 32 * 1024;
        }
        return 0;
      };
      const server = await serve({ exec });
      const url = server.urlFor({ ...EXEC, stdin: false, stderr: false });
      const client = await deafClient(url, open === webSocketCommand);
      let before = -1;
      while (before !== written) {
        before = written;
        await sleep(100);
      }
      // What the kernel's buffers hold is not ours.
      assert.ok(written < 16 * 1024 * 1024, `${written} bytes were written`);
      client.destroy();
    }
  });

  it('stops with clients on it', async () => {
    let begun = 0;
    let ended = 0;
    const exec: StreamingRuntime['exec'] = async (_request, _streams, signal) => {
      begun += 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended += 1;
      return 0;
    };
    const server = await serve({ exec });
    const commands = [
      await spdyCommand(server.urlFor(EXEC), { stdin: true, stderr: true }),
      await webSocketCommand(server.urlFor(EXEC), {}),
    ];
    await eventually('both run', () => (begun === 2 ? true : undefined));
    await server.stop();
    await Promise.all(commands.map(({ gone }) => gone));
    assert.equal(ended, 2);
  });
});

/** A client that upgrades, opens its streams and reads nothing more. */
async function deafClient(url: string, webSocket: boolean): Promise<{ destroy(): void }> {
  if (!webSocket) return spdyCommand(url, {});
  const { socket } = await Channels.open(url, ['v4.channel.k8s.io'], 5);
  socket.pause();
  return {
    destroy: () => {
      socket.terminate();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
