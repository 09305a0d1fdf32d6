import assert from 'node:assert/strict';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { garbageTable } from '../../../src/cli/net/gc.ts';
import type { JsonObject } from '../../../src/lib/json.ts';
import { createLogger } from '../../../src/lib/log.ts';
import type { AttachmentKey } from '../../../src/network/cni/cache.ts';
import { Maintenance, type MaintenanceOptions } from '../../../src/network/maintenance.ts';
import { attachment, both, ChainRig, RESULT, signal } from './cni/chain/rig.ts';

describe('maintenance', () => {
  const rig = new ChainRig();

  function maintenance(changes: Partial<MaintenanceOptions>): Maintenance {
    return new Maintenance({
      chain: rig.chain,
      cache: rig.cache,
      networks: { every: () => [both()], active: () => [both()] },
      namespaces: {
        create: () => Promise.resolve({}),
        remove: () => Promise.resolve(),
        isNamespace: () => true,
      },
      netnsDir: '/run/netns',
      instance: '12345678',
      living: () => [],
      livingAddresses: () => [],
      withheld: () => ({ addresses: [], hostPorts: [] }),
      delTimeoutMs: 5_000,
      log: createLogger({ level: 'fatal', format: 'text' }),
      ...changes,
    });
  }

  it('keeps what a pod has that came while the collection waited for a quiet moment', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    rig.invoke.behaviours['bridge'] = async ({ verb }) => {
      await answered;
      return verb === 'ADD' ? RESULT : undefined;
    };
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      if (verb === 'ADD') throw new Error('refused');
    };
    const living: AttachmentKey[] = [];
    const first = rig.chain.add(attachment(both()), { signal });
    const collected = maintenance({ living: () => [...living] }).collect({ dryRun: false });
    await new Promise((resolve) => setTimeout(resolve, 5));
    // Its ADD fails half way: no cache file tells of it, and its DEL is still to come.
    living.push({ network: 'net', containerId: 'late', ifName: 'eth0' });
    const late = rig.chain.add(attachment(both(), { containerId: 'late' }), { signal });
    answer();
    await Promise.allSettled([first, late, collected]);
    const { config } = rig.invoke.requests.find(({ verb }) => verb === 'GC') ?? assert.fail('no GC');
    assert.deepEqual(config['cni.dev/valid-attachments'], [{ containerID: 'late', ifname: 'eth0' }]);
  });

  it('sweeps the cache of what cut off writes left', async () => {
    await rig.chain.add(attachment(both()), { signal });
    const results = join(rig.dir, 'results');
    const left = join(results, 'net-c2-eth0.71-0-3.tmp');
    writeFileSync(left, '{');
    utimesSync(left, 1, 1);
    await maintenance({}).collect({ dryRun: true });
    assert.equal(readdirSync(results).length, 2);
    await maintenance({}).collect({ dryRun: false });
    assert.deepEqual(readdirSync(results), ['net-c1-eth0']);
  });

  it('tries a network without addresses that pods and debts have', async () => {
    const withheld = { addresses: ['10.0.0.2'], hostPorts: ['tcp/80'] };
    const [trial] = await maintenance({ withheld: () => withheld }).trial(signal);
    assert.equal(trial?.error, undefined);
    const add = rig.invoke.requests.find(({ verb }) => verb === 'ADD');
    assert.deepEqual(add?.hints?.withheld, withheld);
  });

  it('takes a trial down for a client that has gone away meanwhile, too', async () => {
    const client = new AbortController();
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      if (verb !== 'ADD') return;
      client.abort(new Error('the client is gone'));
      throw new Error('refused');
    };
    const [trial] = await maintenance({}).trial(client.signal);
    assert.match(trial?.error ?? '', /the client is gone/);
    assert.deepEqual(
      rig.invoke.requests.filter(({ verb }) => verb === 'DEL').map(({ type }) => type),
      ['portmap', 'bridge'],
    );
  });

  it('collects once for all that find a range exhausted, and none of them goes on before that has ended', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    rig.invoke.behaviours['bridge'] = () => answered;
    const subject = maintenance({});
    let waiting = 2;
    const waits = [subject.onExhausted(), subject.onExhausted()].map((wait) =>
      wait.then(() => (waiting -= 1)),
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(waiting, 2);
    answer();
    await Promise.all(waits);
    await subject.onExhausted();
    assert.equal(
      rig.invoke.requests.filter(({ verb, type }) => verb === 'GC' && type === 'bridge').length,
      1,
    );
  });

  it('collects for no exhausted range for some minutes after a collection that took long', async () => {
    const now = performance.now.bind(performance);
    let later = 0;
    performance.now = () => now() + later;
    try {
      const subject = maintenance({});
      const collections = (): number => rig.invoke.calls.filter((call) => call === 'GC bridge').length;
      rig.invoke.behaviours['bridge'] = () => void (later += 15_000);
      await subject.onExhausted();
      later += 60_000;
      await subject.onExhausted();
      assert.equal(collections(), 1);
      later += 300_000;
      rig.invoke.behaviours['bridge'] = () => undefined;
      await subject.onExhausted();
      later += 30_000;
      await subject.onExhausted();
      assert.equal(collections(), 3);
    } finally {
      performance.now = now;
    }
  });

  it('tells what it could not collect as failed', async () => {
    const netns = '/run/netns/berth-12345678-gone';
    for (const containerId of ['stuck', 'free'])
      await rig.chain.add(attachment(both(), { containerId, netns }), { signal });
    rig.invoke.behaviours['bridge'] = ({ verb, containerId }) => {
      if (verb === 'DEL' && containerId === 'stuck') throw new Error('broken');
    };
    const namespaces = {
      create: () => Promise.resolve({}),
      remove: () => Promise.resolve(),
      isNamespace: () => false,
    };
    const key = (containerId: string): AttachmentKey => ({ network: 'net', containerId, ifName: 'eth0' });
    const subject = maintenance({ namespaces });
    const [looked] = await subject.collect({ dryRun: true });
    assert.deepEqual([looked?.orphans, looked?.failed], [[key('free'), key('stuck')], []]);
    const [garbage] = await subject.collect({ dryRun: false });
    assert.deepEqual([garbage?.orphans, garbage?.failed], [[key('free')], [key('stuck')]]);
    assert.match(garbage?.error ?? '', /stale attachment stuck eth0: .*broken/);
    assert.match(
      garbageTable([garbage as unknown as JsonObject], false),
      /\nnet +stuck +eth0 +failed, tried again later\n/,
    );
  });

  it('takes down a trial that a Berth was killed in: its DELs, and then its namespace', async () => {
    const pin = join(rig.dir, 'berth-12345678-trial-1');
    writeFileSync(pin, '');
    writeFileSync(join(rig.dir, 'berth-12345678-0123456789abcdef'), '');
    await rig.chain.add(attachment(both(), { containerId: 'trial-1', netns: pin }), { signal });
    const done: string[] = [];
    rig.invoke.behaviours['bridge'] = ({ verb, containerId }) => void done.push(`${verb} ${containerId}`);
    let subject: Maintenance | undefined;
    const ended = new Promise<void>((resolve) => {
      const namespaces = {
        create: () => Promise.resolve({}),
        remove: async (path: string) => {
          done.push(path);
          resolve();
        },
        isNamespace: () => true,
      };
      subject = maintenance({ netnsDir: rig.dir, namespaces });
      subject.start();
    });
    await ended;
    subject?.stop();
    assert.deepEqual(done, ['DEL trial-1', pin]);
    assert.equal((await rig.cache.all()).length, 0);
  });
});
