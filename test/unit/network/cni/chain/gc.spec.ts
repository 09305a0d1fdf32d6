import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { ResultCache } from '../../../../../src/network/cni/cache.ts';
import { Chain } from '../../../../../src/network/cni/chain.ts';
import { PluginError } from '../../../../../src/network/cni/invoke/invoke.ts';
import { attachment, both, ChainRig, network, RESULT, signal } from './rig.ts';

describe('a chain on GC', () => {
  const rig = new ChainRig();

  const nobody = { valid: () => [], isStale: () => false };

  it('deletes what is ours and dead with the arguments of its ADD, and lists all else as alive', async () => {
    const capabilityArgs = { portMappings: [{ hostPort: 1 }] };
    for (const containerId of ['dead', 'foreign'])
      await rig.chain.add(attachment(both(), { containerId, capabilityArgs }), { signal });
    await rig.cache.write(attachment(network([], { name: 'other' }), { containerId: 'elsewhere' }), RESULT);
    rig.invoke.requests.length = 0;
    const valid = () => [{ network: 'net', containerId: 'alive', ifName: 'eth0' }];
    await rig.chain.gc(both(), { valid, isStale: (entry) => entry.containerId === 'dead' }, { signal });
    assert.deepEqual(rig.invoke.calls, ['DEL portmap', 'DEL bridge', 'GC bridge', 'GC portmap']);
    const [del, , gc] = rig.invoke.requests;
    assert.equal(del?.containerId, 'dead');
    assert.deepEqual(del.config['runtimeConfig'], capabilityArgs);
    const attachments = [
      { containerID: 'alive', ifname: 'eth0' },
      { containerID: 'foreign', ifname: 'eth0' },
    ];
    assert.deepEqual(gc?.config['cni.dev/valid-attachments'], attachments);
    assert.deepEqual(gc.config['cni.dev/attachments'], attachments);
    assert.deepEqual((await readdir(join(rig.dir, 'results'))).sort(), [
      'net-foreign-eth0',
      'other-elsewhere-eth0',
    ]);
  });

  it("deletes with the configuration of the attachment's ADD, not with today's", async () => {
    await rig.chain.add(attachment(network([{ type: 'bridge', bridge: 'old0' }])), { signal });
    rig.invoke.requests.length = 0;
    await rig.chain.gc(
      network([{ type: 'bridge', bridge: 'new0' }], { cniVersion: '1.0.0' }),
      { valid: () => [], isStale: () => true },
      { signal },
    );
    assert.deepEqual(
      rig.invoke.requests.map(({ verb, config }) => [verb, config['bridge']]),
      [
        ['DEL', 'old0'],
        ['GC', 'new0'],
      ],
    );
  });

  it('keeps what is valid even when it is called stale', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    await rig.chain.gc(
      both(),
      { valid: () => [{ network: 'net', containerId: 'c1', ifName: 'eth0' }], isStale: () => true },
      { signal },
    );
    assert.deepEqual(rig.invoke.calls, ['GC bridge', 'GC portmap']);
  });

  it('counts a cache file that does not say whose it is as alive, however its name may be read', async () => {
    await mkdir(join(rig.dir, 'results'), { recursive: true });
    for (const name of ['net-x-eth0', 'net-a-b-eth-1', 'net-', 'net-x', 'net--x', 'other-y-eth0'])
      await writeFile(join(rig.dir, 'results', name), name === 'net-x-eth0' ? '' : '{"kind":"cniCac');
    await rig.chain.gc(both(), nobody, { signal });
    assert.deepEqual(rig.invoke.calls, ['GC bridge', 'GC portmap']);
    const listed = rig.invoke.requests[0]?.config['cni.dev/valid-attachments'] as JsonObject[];
    assert.deepEqual(
      listed.map(({ containerID, ifname }) => [containerID, ifname]),
      [
        ['a', 'b-eth-1'],
        ['a-b', 'eth-1'],
        ['a-b-eth', '1'],
        ['x', 'eth0'],
      ],
    );
    assert.equal((await readdir(join(rig.dir, 'results'))).length, 6);
  });

  it('deletes nothing in a dry run, and tells the plugins that it is one, with all else as it will be', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    const plan = { valid: () => [], isStale: () => true, dryRun: true };
    await rig.chain.gc(both(), plan, { signal, hints: { living: ['10.0.0.9'] } });
    assert.deepEqual(rig.invoke.calls, ['GC bridge', 'GC portmap']);
    const [gc] = rig.invoke.requests;
    assert.deepEqual(gc?.hints, { living: ['10.0.0.9'], dryRun: true });
    assert.deepEqual(gc.config['cni.dev/valid-attachments'], []);
    assert.equal((await readdir(join(rig.dir, 'results'))).length, 1);
    await rig.chain.gc(both(), { ...plan, dryRun: false }, { signal });
    assert.deepEqual(rig.invoke.calls.slice(2), ['DEL portmap', 'DEL bridge', 'GC bridge', 'GC portmap']);
    assert.equal(rig.invoke.requests.at(-1)?.hints?.dryRun, false);
  });

  it('goes past failing plugins and tells of all', async () => {
    rig.invoke.behaviours['bridge'] = rig.invoke.behaviours['portmap'] = ({ type }) => {
      throw new PluginError(`${type} is ill`);
    };
    await assert.rejects(rig.chain.gc(both(), nobody, { signal }), (error: Error) =>
      /failed to GC plugin bridge: .*bridge is ill.*\nfailed to GC plugin portmap: .*portmap is ill/.test(
        error.message,
      ),
    );
  });

  it('does nothing for a list that disables it', async () => {
    await rig.chain.gc(both({ disableGC: true }), nobody, { signal });
    await rig.chain.gc(both({ disableGC: true, cniVersion: '1.0.0' }), nobody, { signal });
    assert.deepEqual(rig.invoke.calls, []);
  });

  it('asks built-in plugins alone before 1.1.0, in that version, with all that is alive', async () => {
    const old = both({ cniVersion: '0.3.1' });
    await rig.chain.add(attachment(old, { containerId: 'foreign' }), { signal });
    rig.invoke.requests.length = 0;
    await rig.chain.gc(old, nobody, { signal });
    assert.deepEqual(rig.invoke.calls, ['GC bridge', 'GC portmap']);
    for (const { config, hints } of rig.invoke.requests) {
      assert.equal(config['cniVersion'], '1.1.0');
      assert.deepEqual(hints, { dryRun: false, builtinsOnly: true });
      assert.deepEqual(config['cni.dev/valid-attachments'], [{ containerID: 'foreign', ifname: 'eth0' }]);
    }
  });

  it('waits for the cache file of an ADD whose caller does not', async () => {
    let write = (): void => undefined;
    const writable = new Promise<void>((resolve) => (write = resolve));
    const cache = new ResultCache(rig.dir, async (path, data) => {
      await writable;
      await writeFile(path, data);
    });
    await mkdir(join(rig.dir, 'results'));
    const chain = new Chain({ invoke: rig.invoke, cache, binDirs: [] });
    await chain.add(attachment(both()), { signal, onCacheWrite: () => undefined });
    const collecting = chain.gc(both(), nobody, { signal });
    await after(5);
    assert.ok(!rig.invoke.calls.includes('GC bridge'));
    write();
    await collecting;
    const { config } = rig.invoke.requests.find(({ verb }) => verb === 'GC') ?? assert.fail('no GC');
    assert.deepEqual(config['cni.dev/valid-attachments'], [{ containerID: 'c1', ifname: 'eth0' }]);
  });

  it('runs alone: not during an ADD, and ADDs wait for it', async () => {
    const order: string[] = [];
    rig.invoke.behaviours['bridge'] = async ({ verb }) => {
      order.push(`${verb} begins`);
      await after(20);
      order.push(`${verb} ends`);
      return verb === 'ADD' ? RESULT : undefined;
    };
    const list = network([{ type: 'bridge' }]);
    const adding = rig.chain.add(attachment(list), { signal });
    const collecting = rig.chain.gc(list, nobody, { signal });
    await adding;
    await after(5);
    await rig.chain.add(attachment(list, { containerId: 'c2' }), { signal });
    await collecting;
    assert.deepEqual(order, ['ADD begins', 'ADD ends', 'GC begins', 'GC ends', 'ADD begins', 'ADD ends']);
  });

  describe('with a plugin that hangs in its GC', () => {
    const hangs = (_: unknown, options: { signal: AbortSignal }): Promise<never> =>
      new Promise((_resolve, reject) =>
        options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
      );
    let collected: Promise<void>;

    function collect(garbageCallMs: number): Chain {
      rig.invoke.behaviours['bridge'] = (request, options) => {
        if (request.verb === 'GC') return hangs(request, options);
        return request.verb === 'ADD' ? RESULT : undefined;
      };
      const chain = new Chain({ invoke: rig.invoke, cache: rig.cache, binDirs: [], garbageCallMs });
      collected = chain.gc(both(), nobody, { signal });
      collected.catch(() => undefined);
      return chain;
    }

    it('holds up pods of its own network alone, and those for a short time', async () => {
      const chain = collect(100);
      const order: string[] = [];
      const add = (name: string): Promise<unknown> =>
        chain.add(attachment(both({ name })), { signal }).then(() => order.push(name));
      await Promise.all([add('net'), add('other')]);
      assert.deepEqual(order, ['other', 'net']);
      await assert.rejects(collected, /GC plugin bridge: .*GC took longer than 100 ms/);
      assert.ok(rig.invoke.calls.includes('GC portmap'), 'the next plugin has its turn');
    });

    it('has an ADD that it held up begin nothing', async () => {
      const chain = collect(200);
      const add = chain.add(attachment(both()), { signal: AbortSignal.timeout(20) });
      await assert.rejects(add, { index: -1, message: /^no plugin of network "net" was called: / });
      await assert.rejects(collected);
      assert.deepEqual(rig.invoke.calls, ['GC bridge', 'GC portmap']);
    });

    it('gives up on the DEL of something stale as soon', async () => {
      await rig.chain.add(attachment(both()), { signal });
      const chain = new Chain({ invoke: rig.invoke, cache: rig.cache, binDirs: [], garbageCallMs: 100 });
      rig.invoke.behaviours['portmap'] = (request, options) =>
        request.verb === 'DEL' ? hangs(request, options) : undefined;
      const gc = chain.gc(both(), { valid: () => [], isStale: () => true }, { signal });
      await assert.rejects(gc, /stale attachment c1 eth0: .*took longer than 50 ms/);
      assert.ok(rig.invoke.calls.includes('DEL bridge'));
    });
  });
});
