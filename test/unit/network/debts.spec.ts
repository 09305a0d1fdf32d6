import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { debtInfo } from '../../../src/cri/debt-info.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import { createLogger } from '../../../src/lib/log.ts';
import { type AttachmentRecord, attachmentOf } from '../../../src/network/attachment.ts';
import { ResultCache } from '../../../src/network/cni/cache.ts';
import { Chain } from '../../../src/network/cni/chain.ts';
import { type Invoke, PluginError, type PluginRequest } from '../../../src/network/cni/invoke/invoke.ts';
import type { Result } from '../../../src/network/cni/types.ts';
import { Debts } from '../../../src/network/debts.ts';
import { eventually } from '../../helpers/fixture.ts';

const ID = 'c'.repeat(64);

/** Plugins that fail their DEL for as long as their type is in `broken`. */
class ScriptedPlugins implements Invoke {
  readonly broken = new Set<string>();
  readonly calls: PluginRequest[] = [];
  /** How long each takes. */
  pauseMs = 0;
  /** The most calls that ran at a time. */
  most = 0;
  #running = 0;

  async invoke(request: PluginRequest): Promise<{ output: unknown; provider: string; stderr: string }> {
    this.calls.push(request);
    this.#running += 1;
    this.most = Math.max(this.most, this.#running);
    if (this.pauseMs > 0) await sleep(this.pauseMs);
    else await nextTurn();
    this.#running -= 1;
    if (this.broken.has(request.type))
      throw new PluginError(`${request.type} is broken`, { code: 999, provider: '/x' });
    return { output: undefined, provider: '/x', stderr: '' };
  }
}

const attachment: AttachmentRecord = {
  network: {
    name: 'net',
    cniVersion: '1.0.0',
    disableCheck: false,
    disableGC: false,
    plugins: [{ type: 'bridge' }, { type: 'portmap', capabilities: { portMappings: true } }],
    source: '/etc/cni/net.d/10-net.conflist',
    text: '{}',
  },
  ifName: 'eth0',
  args: [['IgnoreUnknown', '1']],
  capabilityArgs: { portMappings: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80 }] },
};

const result: Result = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }],
  ips: [{ address: '10.1.0.5/24', interface: 0 }],
  routes: [],
  dns: {},
};

describe('debts', () => {
  let directory = '';
  let plugins: ScriptedPlugins;
  const opened: Debts[] = [];

  function open(options: { firstAttemptsMs?: number } = {}): Debts {
    const chain = new Chain({
      invoke: plugins,
      cache: new ResultCache(join(directory, 'cache')),
      binDirs: ['/opt/cni/bin'],
    });
    const log = createLogger({ level: 'fatal', format: 'json' });
    const debts = new Debts({
      directory: join(directory, 'debts'),
      chain,
      delTimeoutMs: 1_000,
      log,
      ...options,
    });
    debts.load();
    opened.push(debts);
    return debts;
  }

  const debtor = { sandboxId: ID, pod: 'default/web', attachment, result };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-debts-'));
    plugins = new ScriptedPlugins();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((debts) => debts.stop()));
    await rm(directory, { recursive: true });
  });

  it('survive a restart with all that the DEL needs, and are private on disk', async () => {
    await open().owe(debtor, [1], 'portmap is broken');
    const [file = ''] = await readdir(join(directory, 'debts'));
    assert.equal((await stat(join(directory, 'debts', file))).mode & 0o777, 0o600);
    const [debt] = open().list();
    assert.deepEqual(debt?.attachment, attachment);
    assert.deepEqual(debt.result, result);
    assert.deepEqual(debt.owed, [1]);
  });

  it('withhold their addresses and host ports', async () => {
    const debts = open();
    await debts.owe(debtor, [0, 1], 'broken');
    assert.deepEqual(debts.withheld(), { addresses: ['10.1.0.5'], hostPorts: ['tcp/8080'] });
  });

  it('withhold host ports only while a plugin owes that maps them', async () => {
    plugins.broken.add('bridge');
    const debts = open();
    await debts.owe(debtor, [0, 1], 'broken');
    await assert.rejects(debts.retry(ID.slice(0, 13)));
    assert.deepEqual(debts.list()[0]?.owed, [0]);
    assert.deepEqual(debts.withheld(), { addresses: ['10.1.0.5'], hostPorts: [] });
    assert.deepEqual(debtInfo(debts, debts.list()[0]!)['hostPorts'], []);
    // A file of before that names the ports of the whole attachment.
    const path = join(directory, 'debts', `${debts.list()[0]!.id}.json`);
    await writeFile(path, JSON.stringify({ ...debts.list()[0], hostPorts: ['tcp/8080'] }));
    assert.deepEqual(open().withheld(), { addresses: ['10.1.0.5'], hostPorts: [] });
  });

  it("are settled with the ADD's configuration, arguments and result, and an empty CNI_NETNS, by the owing plugin alone", async () => {
    const debts = open();
    await debts.owe(debtor, [1], 'broken');
    await debts.retry(ID.slice(0, 4));
    assert.deepEqual(debts.list(), []);
    assert.deepEqual(await readdir(join(directory, 'debts')), []);
    const [call, ...others] = plugins.calls;
    assert.deepEqual(others, []);
    assert.equal(call?.type, 'portmap');
    assert.equal(call.verb, 'DEL');
    assert.equal(call.netns, '');
    assert.equal(call.args, 'IgnoreUnknown=1');
    assert.deepEqual(call.config['runtimeConfig'], {
      portMappings: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80 }],
    });
    assert.ok(call.config['prevResult']);
  });

  it('keep only what still fails', async () => {
    plugins.broken.add('portmap');
    const debts = open();
    await debts.owe(debtor, [0, 1], 'everything is broken');
    await assert.rejects(debts.retry(`${ID.slice(0, 13)}-eth0`), (error) => {
      return (
        error instanceof BerthError &&
        error.code === 'FAILED_PRECONDITION' &&
        /portmap is broken/.test(error.message)
      );
    });
    const [debt] = debts.list();
    assert.deepEqual(debt?.owed, [1]);
    assert.equal(debt.attempts, 2);
    assert.match(debt.lastError, /portmap is broken/);
  });

  it('are tried again in the background until they are paid', async () => {
    plugins.broken.add('portmap');
    const debts = open();
    await debts.owe(debtor, [1], 'broken');
    await assert.rejects(debts.retry(ID.slice(0, 13)));
    plugins.broken.clear();
    await eventually('the debt is paid', () => debts.list().length === 0 || undefined);
  });

  it('are tried once before an ADD on their network, and on no other', async () => {
    const past = open();
    await past.owe({ ...debtor }, [1], 'broken');
    // Otherwise it would try again a second later.
    await past.stop();
    const [debt] = past.list();
    await writeFile(
      join(directory, 'debts', `${debt!.id}.json`),
      JSON.stringify({ ...debt, lastAttemptAt: '2026-01-01T00:00:00.000Z' }),
    );
    const debts = open();
    await debts.beforeAdd('other');
    assert.equal(plugins.calls.length, 0);
    await debts.beforeAdd('net');
    assert.equal(plugins.calls.length, 1);
    assert.deepEqual(debts.list(), []);
  });

  it('of a network are tried a few at a time, however many they are and however many pods start', async () => {
    const earlier = open();
    // It tries again after a second, which a slow disk may take for all of them.
    plugins.broken.add('portmap');
    for (let i = 0; i < 20; i += 1) {
      await earlier.owe(
        { ...debtor, sandboxId: `${i}`.padStart(64, '0').split('').reverse().join('') },
        [1],
        'broken',
      );
    }
    await earlier.stop();
    plugins.broken.clear();
    plugins.calls.length = 0;
    plugins.most = 0;
    const directoryOfDebts = join(directory, 'debts');
    for (const name of await readdir(directoryOfDebts)) {
      const path = join(directoryOfDebts, name);
      const debt = JSON.parse(await readFile(path, 'utf8')) as object;
      await writeFile(path, JSON.stringify({ ...debt, lastAttemptAt: '2026-01-01T00:00:00.000Z' }));
    }
    const debts = open();
    await Promise.all([debts.beforeAdd('net'), debts.beforeAdd('net')]);
    // An ADD waits a second at most; the attempts go on.
    await eventually('all are paid', () => (debts.list().length === 0 ? true : undefined));
    assert.equal(plugins.calls.length, 20);
    assert.ok(plugins.most <= 4, `${plugins.most} at a time`);
  });

  it('that fail are tried again a few at a time, too', async () => {
    plugins.broken.add('portmap');
    plugins.pauseMs = 20;
    const debts = open();
    for (let i = 0; i < 20; i += 1)
      await debts.owe({ ...debtor, sandboxId: `${i}`.padStart(13, '0').padEnd(64, '0') }, [1], 'broken');
    await eventually('each has failed', () =>
      debts.list().every(({ attempts }) => attempts >= 2) ? true : undefined,
    );
    assert.ok(plugins.most <= 4, `${plugins.most} at a time`);
  });

  it('that are gone when their turn comes are no longer waited for', async () => {
    plugins.broken.add('portmap');
    const earlier = open();
    for (let i = 0; i < 5; i += 1)
      await earlier.owe({ ...debtor, sandboxId: `${i}`.padEnd(64, '0') }, [1], 'broken');
    await earlier.stop();
    plugins.broken.clear();
    plugins.calls.length = 0;
    plugins.pauseMs = 50;
    const debts = open();
    const last = debts.list().at(-1)!.id;
    const attempts = debts.firstAttempts();
    await debts.forgive(last);
    await attempts;
    assert.equal(plugins.calls.length, 4);
    assert.equal(debts.nextAttemptAt(last), 0);
  });

  it('are tried although what may add to them never ends, and not waited for longer', async () => {
    const earlier = open();
    await earlier.owe(debtor, [1], 'broken');
    await earlier.stop();
    const debts = open({ firstAttemptsMs: 20 });
    await debts.firstAttempts(new Promise(() => undefined));
    await eventually('the debt is paid', () => debts.list().length === 0 || undefined);
  });

  it('can be forgiven, which asks no plugin', async () => {
    const debts = open();
    await debts.owe(debtor, [1], 'broken');
    await debts.forgive(ID.slice(0, 13));
    assert.deepEqual(open().list(), []);
    assert.equal(plugins.calls.length, 0);
  });

  it('that are forgiven give their addresses back to the IPAM plugin of what owes, whatever that says', async () => {
    const bridge = { type: 'bridge', ipam: { type: 'host-local', dataDir: '/data' } };
    const network = { ...attachment.network, plugins: [bridge, { type: 'portmap' }] };
    const debts = open();
    await debts.owe({ ...debtor, attachment: { ...attachment, network } }, [0, 1], 'broken');
    plugins.broken.add('host-local');
    await debts.forgive(ID.slice(0, 13));
    assert.deepEqual(open().list(), []);
    const asked = plugins.calls.map(({ verb, type, containerId, netns }) => [verb, type, containerId, netns]);
    assert.deepEqual(asked, [['DEL', 'host-local', ID, '']]);
    assert.deepEqual(plugins.calls[0]?.config['ipam'], bridge.ipam);
    assert.equal(plugins.calls[0].config['name'], 'net');
  });

  it('that are forgiven leave no cached result, by which a collection would try their DEL again', async () => {
    const cache = new ResultCache(join(directory, 'cache'));
    await cache.write(attachmentOf(attachment, ID, '/run/netns/n'), {});
    const debts = open();
    await debts.owe(debtor, [1], 'broken');
    await debts.forgive(ID.slice(0, 13));
    assert.deepEqual(await cache.list(attachment.network.name), { entries: [], unreadable: [] });
  });

  it('say NOT_FOUND for an unknown id', async () => {
    await assert.rejects(
      open().forgive('nope'),
      (error) => error instanceof BerthError && error.code === 'NOT_FOUND',
    );
  });

  it('that cannot be read are set aside, not lost', async () => {
    open();
    await writeFile(join(directory, 'debts', 'torn.json'), '{"id": "to');
    assert.deepEqual(open().list(), []);
    assert.deepEqual(await readdir(join(directory, 'debts')), ['torn.json.unreadable']);
  });

  it('that a crash kept from being written leave no file', async () => {
    open();
    await writeFile(join(directory, 'debts', 'half.json.4711-0-1.tmp'), '{"id": "ha');
    assert.deepEqual(open().list(), []);
    assert.deepEqual(await readdir(join(directory, 'debts')), []);
  });
});
