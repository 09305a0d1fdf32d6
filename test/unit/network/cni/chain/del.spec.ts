import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from '../../../../../src/network/cni/invoke/invoke.ts';
import { attachment, both, ChainRig, network, RESULT, signal } from './rig.ts';

describe('a chain on DEL', () => {
  const rig = new ChainRig();

  it('goes in reverse, gives each plugin the cached result, and drops the cache file', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    assert.deepEqual(await rig.chain.del(attachment(both()), { signal, hints: { namespaceEnds: true } }), {
      failures: [],
    });
    assert.deepEqual(rig.invoke.calls, ['DEL portmap', 'DEL bridge']);
    for (const { config, hints } of rig.invoke.requests) {
      assert.deepEqual(config['prevResult'], { ...RESULT, cniVersion: '1.1.0' });
      assert.deepEqual(hints, { namespaceEnds: true });
    }
    assert.equal(await rig.cached(), undefined);
  });

  it('goes on without a result when the cache file is empty or torn, by the one that it is given, and drops it', async () => {
    for (const content of ['', '{"kind":"cniCac', '\0\0\0\0']) {
      for (const result of [undefined, RESULT]) {
        await rig.chain.add(attachment(both()), { signal });
        await writeFile(join(rig.dir, 'results', 'net-c1-eth0'), content);
        rig.invoke.requests.length = 0;
        const { failures } = await rig.chain.del(attachment(both()), {
          signal,
          ...(result === undefined ? {} : { result: { ...result, interfaces: [], routes: [], dns: {} } }),
        });
        assert.deepEqual(failures, []);
        assert.deepEqual(rig.invoke.calls, ['DEL portmap', 'DEL bridge']);
        const given = rig.invoke.requests.map(({ config }) => config['prevResult'] !== undefined);
        assert.deepEqual(given, [result !== undefined, result !== undefined]);
        assert.deepEqual(await readdir(join(rig.dir, 'results')), []);
      }
    }
  });

  it('has the IPAM of a plugin that is not there give its addresses back once the namespace is gone, no earlier', async () => {
    const ipam = { type: 'host-local', dataDir: '/data' };
    const list = network([{ type: 'calico', ipam }, { type: 'firewall' }]);
    rig.invoke.behaviours['calico'] = rig.invoke.behaviours['firewall'] = ({ type }) => {
      throw new PluginError(`failed to find plugin "${type}" in path [/opt/cni/bin]`);
    };
    const released = async (netns: string): Promise<unknown> => {
      const { failures } = await rig.chain.del(attachment(list, { netns }), { signal });
      return failures.map(({ type, isReleased }) => [type, isReleased]);
    };
    const [calico, firewall] = [
      ['calico', false],
      ['firewall', false],
    ];
    assert.deepEqual(await released('/run/netns/n'), [firewall, calico]);
    assert.deepEqual(rig.invoke.calls, ['DEL firewall', 'DEL calico']);
    assert.deepEqual(await released(''), [firewall, ['calico', true]]);
    const asked = rig.invoke.requests.at(-1);
    assert.deepEqual([asked?.verb, asked?.type, asked?.containerId], ['DEL', 'host-local', 'c1']);
    assert.deepEqual(asked?.config['ipam'], ipam);
    rig.invoke.behaviours['host-local'] = () => {
      throw new PluginError('locked');
    };
    assert.deepEqual(await released(''), [firewall, calico]);
    // One that runs and fails will have its turn: the addresses are its own to give back.
    rig.invoke.behaviours['calico'] = () => {
      throw new PluginError('no datastore', { provider: '/opt/cni/bin/calico' });
    };
    rig.invoke.requests.length = 0;
    await released('');
    assert.ok(!rig.invoke.calls.includes('DEL host-local'));
  });

  it('goes past a failing plugin and says what is owed, with the cache file kept', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    rig.invoke.behaviours['portmap'] = () => {
      throw new PluginError('nft is busy', { code: 11 });
    };
    const { failures } = await rig.chain.del(attachment(both()), { signal });
    assert.deepEqual(rig.invoke.calls, ['DEL portmap', 'DEL bridge']);
    assert.deepEqual(
      failures.map(({ index, type, code }) => [index, type, code]),
      [[1, 'portmap', 11]],
    );
    assert.match(
      failures[0]?.error ?? '',
      /^plugin type="portmap" name="net" failed \(delete\): nft is busy/,
    );
    assert.notEqual(await rig.cached(), undefined);
  });

  it('asks only those plugins that are owed, without a namespace, and then drops the cache file', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    assert.deepEqual(await rig.chain.del(attachment(both()), { signal, only: [1], netns: '' }), {
      failures: [],
    });
    assert.deepEqual(rig.invoke.calls, ['DEL portmap']);
    assert.equal(rig.invoke.requests[0]?.netns, '');
    assert.equal(await rig.cached(), undefined);
  });

  it('takes an unknown container (code 3) for deleted', async () => {
    rig.invoke.behaviours['bridge'] = () => {
      throw new PluginError('who?', { code: 3 });
    };
    assert.deepEqual(await rig.chain.del(attachment(both()), { signal }), { failures: [] });
  });

  it('prefers the result that it is given to the cached one, and has none before 0.4.0', async () => {
    const result = {
      cniVersion: '1.1.0',
      interfaces: [],
      ips: [{ address: '10.0.0.7/24' }],
      routes: [],
      dns: {},
    };
    await rig.chain.del(attachment(both()), { signal, result });
    assert.deepEqual(rig.invoke.requests[0]?.config['prevResult'], {
      cniVersion: '1.1.0',
      ips: [{ address: '10.0.0.7/24' }],
    });
    await rig.chain.del(attachment(both({ cniVersion: '0.3.1' })), { signal, result });
    assert.ok(!('prevResult' in (rig.invoke.requests[2]?.config ?? {})));
  });

  it('works with a damaged cache file, and with none', async () => {
    await rig.chain.add(attachment(both()), { signal });
    await writeFile(
      join(rig.dir, 'results', 'net-c1-eth0'),
      '{"kind":"cniCacheV1","result":{"ips":[{"address":"x"}]},"networkName":"net","containerId":"c1","ifName":"eth0"}',
    );
    rig.invoke.requests.length = 0;
    assert.deepEqual(await rig.chain.del(attachment(both()), { signal }), { failures: [] });
    assert.ok(rig.invoke.requests.every(({ config }) => !('prevResult' in config)));
    assert.deepEqual(await readdir(join(rig.dir, 'results')), []);
    assert.deepEqual(await rig.chain.del(attachment(both()), { signal }), { failures: [] });
  });

  it('leaves time to the plugins after one that hangs', async () => {
    rig.invoke.behaviours['portmap'] = (_request, options) =>
      new Promise((_resolve, reject) =>
        options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
      );
    const { failures } = await rig.chain.del(attachment(both()), { signal, timeoutMs: 1_000 });
    assert.deepEqual(rig.invoke.calls, ['DEL portmap', 'DEL bridge']);
    assert.match(failures[0]?.error ?? '', /type="portmap".*delete took longer than \d+ ms/);
    assert.equal(failures.length, 1);
  });
});
