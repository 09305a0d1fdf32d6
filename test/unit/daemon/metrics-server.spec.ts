import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Counter, Registry } from 'prom-client';
import { MetricsServer } from '../../../src/daemon/metrics-server.ts';
import type { Fields, Logger } from '../../../src/lib/log.ts';
import { quietLogger } from '../../fakes/logger.ts';

describe('the server of metrics', () => {
  const warnings: Fields[] = [];
  const log: Logger = { ...quietLogger, warn: (_, fields = {}) => void warnings.push(fields) };
  let server: MetricsServer;
  let url: string;

  before(async () => {
    const registry = new Registry();
    new Counter({ name: 'berth_test', help: 'Test', registers: [registry] }).inc();
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = `127.0.0.1:${(free.address() as AddressInfo).port}`;
    await new Promise((resolve) => free.close(resolve));
    url = `http://${address}/metrics`;
    server = new MetricsServer(address, registry, log);
    await server.start();
  });

  after(() => server.stop());

  it('answers GET and HEAD, whatever the query', async () => {
    for (const query of ['', '?', '?name[]=berth_test']) {
      const got = await fetch(url + query);
      assert.deepEqual([got.status, /^berth_test 1$/m.test(await got.text())], [200, true]);
      const asked = await fetch(url + query, { method: 'HEAD' });
      assert.deepEqual([asked.status, await asked.text()], [200, '']);
    }
  });

  it('answers nothing else', async () => {
    assert.equal((await fetch(url, { method: 'POST' })).status, 404);
    assert.equal((await fetch(`${url}x`)).status, 404);
  });

  it('logs that a client could not be let in, and goes on', async () => {
    const listening: Server[] = [];
    const note = (message: unknown): void => void listening.push((message as { server: Server }).server);
    subscribe('http.server.request.start', note);
    await fetch(url);
    unsubscribe('http.server.request.start', note);
    listening[0]?.emit('error', new Error('EMFILE'));
    assert.deepEqual(warnings, [{ error: 'EMFILE' }]);
    assert.equal((await fetch(url)).status, 200);
  });
});
