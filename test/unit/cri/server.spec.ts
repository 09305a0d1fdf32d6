import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import type { CriDeps } from '../../../src/cri/deps.ts';
import { CriServer } from '../../../src/cri/server.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import { createLogger } from '../../../src/lib/log.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';
import { CriClient } from '../../helpers/cri-client.ts';
import { eventually } from '../../helpers/fixture.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** No settings; then data of a stream that nobody has opened. */
const SENSELESS = Buffer.from([...[0, 0, 0, 4, 0, 0, 0, 0, 0], ...[0, 0, 1, 0, 0, 0, 0, 0, 5, 1]]);

describe('the server of the CRI', () => {
  it('has one socket, for root alone, also after one that was killed as it began to listen; none when it has stopped', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cri-'));
    for (const name of ['cri.sock', 'x~', 'x'.repeat(107 - directory.length - 1)]) {
      const address = join(directory, name);
      const server = serverOn(address);
      const draft = join(directory, `${name.slice(0, -3)}~`);
      mkdirSync(draft);
      writeFileSync(join(draft, 's'), '');
      await server.start();
      assert.deepEqual(readdirSync(directory), [name]);
      assert.equal(statSync(address).mode & 0o777, 0o600);
      using client = new CriClient(address);
      assert.equal((await client.version()).runtimeName, 'berth');
      await server.stop();
      assert.deepEqual(readdirSync(directory), []);
    }
    rmSync(directory, { recursive: true });
  });

  it('changes nothing for what others make while it begins to listen', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cri-'));
    const server = serverOn(join(directory, 'cri.sock'));
    const modes = new Set<number>();
    const seen = { listening: false };
    const starting = server.start().then(() => (seen.listening = true));
    for (let count = 0; !seen.listening; count += 1) {
      const path = join(directory, `beside-${count}`);
      writeFileSync(path, '', { mode: 0o640 });
      modes.add(statSync(path).mode & 0o777);
      await new Promise(setImmediate);
    }
    await starting;
    assert.deepEqual([...modes], [0o640]);
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  it('keeps nothing of clients that speak HTTP/2 wrongly, and serves others after they were idle', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cri-'));
    const address = join(directory, 'cri.sock');
    const server = serverOn(address, { idleMs: 200 });
    await server.start();
    using client = new CriClient(address);
    try {
      assert.equal((await client.version()).runtimeName, 'berth');
      const before = descriptors();
      for (let count = 0; count < 5; count += 1) {
        const socket = connect(address);
        await once(socket, 'connect');
        socket.on('error', () => undefined).write(Buffer.concat([Buffer.from(PREFACE), SENSELESS]));
        await new Promise((resolve) => setTimeout(resolve, 50));
        socket.destroy();
      }
      await eventually('all connections are closed', () => (descriptors() <= before ? true : undefined));
      assert.equal((await client.version()).runtimeName, 'berth');
    } finally {
      await server.stop();
      rmSync(directory, { recursive: true });
    }
  });

  it('tells why a stream failed, at once', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cri-'));
    const address = join(directory, 'cri.sock');
    const listImages = () => Promise.reject(new BerthError('UNAVAILABLE', 'away'));
    const server = serverOn(address, { images: { listImages } as unknown as CriDeps['images'] });
    await server.start();
    using client = new CriClient(address);
    try {
      const [error] = (await once(client.image.streamImages({}).resume(), 'error')) as [ServiceError];
      assert.deepEqual([error.code, error.details], [status.UNAVAILABLE, 'away']);
    } finally {
      await server.stop();
      rmSync(directory, { recursive: true });
    }
  });

  it('ends a list with an error that its own stop has cut short', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cri-'));
    const address = join(directory, 'cri.sock');
    const stopping = new AbortController();
    const all = Array.from({ length: 50_000 }, (_, at) => ({ id: `${at}`.padStart(500, '0') }));
    const images = { listImages: async () => ({ images: all }) } as unknown as CriDeps['images'];
    const server = serverOn(address, { images, stopping: stopping.signal });
    await server.start();
    using client = new CriClient(address);
    try {
      const stream = client.image.streamImages({});
      await once(stream, 'readable');
      // Nobody reads on: the server waits.
      await new Promise((resolve) => setTimeout(resolve, 200));
      stopping.abort();
      let seen = 0;
      const ended = new Promise((resolve) => {
        stream.on('error', resolve).on('end', resolve);
      });
      stream.on('data', (message: { images: unknown[] }) => {
        seen += message.images.length;
      });
      const error = (await ended) as ServiceError | undefined;
      assert.ok(seen > 0 && seen < all.length, String(seen));
      assert.equal(error?.code, status.CANCELLED);
    } finally {
      await server.stop();
      rmSync(directory, { recursive: true });
    }
  });
});

function serverOn(
  address: string,
  { idleMs = 60_000, ...others }: { readonly idleMs?: number } & Partial<CriDeps> = {},
): CriServer {
  const nothing = {
    sandboxesByState: () => ({}),
    debts: () => ({ count: 0, oldestSeconds: 0 }),
    leasesByPhase: () => ({}),
  };
  const deps = {
    config: { grpc: { address } },
    log: createLogger({ level: 'error', format: 'json' }),
    stopping: new AbortController().signal,
    ...others,
  };
  return new CriServer(deps as unknown as CriDeps, createMetrics(nothing, { served: false }), { idleMs });
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
