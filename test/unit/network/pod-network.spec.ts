import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CniConfig } from '../../../src/config/schema.ts';
import { addressesOf, type AttachmentRecord } from '../../../src/network/attachment.ts';
import { ResultCache } from '../../../src/network/cni/cache.ts';
import { Chain } from '../../../src/network/cni/chain.ts';
import { PluginError } from '../../../src/network/cni/invoke/invoke.ts';
import { fromResult } from '../../../src/network/cni/versions/convert.ts';
import type { Debts } from '../../../src/network/debts.ts';
import { PodNetwork, type Target } from '../../../src/network/pod-network.ts';
import { both, ChainRig, RESULT, signal } from './cni/chain/rig.ts';

type Debtor = Parameters<Debts['owe']>[0];

const record: AttachmentRecord = { network: both(), ifName: 'eth0', args: [], capabilityArgs: {} };
const target: Target = { sandboxId: 'c1', pod: 'default/web', netns: '/run/netns/n', attachments: [record] };
const observer = { onStep: () => undefined, onProcess: () => undefined };

describe('the networks of a pod', () => {
  const rig = new ChainRig();

  function podNetwork(chain: Chain, owed: Debtor[] = []): PodNetwork {
    return new PodNetwork({
      chain,
      debts: {
        beforeAdd: async () => undefined,
        owe: async (debtor: Debtor) => void owed.push(debtor),
      } as unknown as Debts,
      networks: undefined as never,
      settings: { addTimeoutSeconds: 5, delTimeoutSeconds: 5, cacheDir: rig.dir } as CniConfig,
      count: () => undefined,
      withheld: () => ({ addresses: [], hostPorts: [] }),
    });
  }

  it('are taken down by what the plugins before the one that failed have returned', async () => {
    rig.invoke.behaviours['bridge'] = ({ verb }) => {
      if (verb === 'DEL') throw new Error('broken');
      return RESULT;
    };
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      if (verb === 'ADD') throw new Error('the port is taken');
    };
    const owed: Debtor[] = [];
    const network = podNetwork(rig.chain, owed);
    const remainingMs = 10_000;
    await assert.rejects(network.attach(target, observer, { signal, remainingMs }), /the port is taken/);
    await network.detach(target, [], observer, { namespaceEnds: true, remainingMs });
    for (const type of ['portmap', 'bridge']) {
      const request = rig.invoke.requests.find((one) => one.verb === 'DEL' && one.type === type);
      const { ips } = request?.config['prevResult'] as typeof RESULT;
      assert.deepEqual(ips, RESULT.ips, type);
    }
    // What is owed withholds the address, too.
    const [{ result } = { result: undefined }] = owed;
    assert.ok(result !== undefined);
    assert.deepEqual(fromResult(result, '1.0.0')['ips'], RESULT.ips);
  });

  it('tell of what each plugin has returned, after what earlier networks gave', async () => {
    const second = { ...record, network: both({ name: 'second' }), ifName: 'eth1' };
    const told: (string | undefined)[][] = [];
    let asked = 0;
    rig.invoke.behaviours['bridge'] = () => ({ ...RESULT, ips: [{ address: `10.0.0.${(asked += 1)}/24` }] });
    const { cached } = await podNetwork(rig.chain).attach(
      { ...target, attachments: [record, second] },
      {
        ...observer,
        onResults: (results) => void told.push(results.map(({ ips }) => ips[0]?.address)),
      },
      { signal, remainingMs: 10_000 },
    );
    await cached;
    const [first, later] = [['10.0.0.1/24'], ['10.0.0.1/24', '10.0.0.2/24']];
    assert.deepEqual(told, [first, first, later, later]);
  });

  it('tell whoever asks, and only them, that a cache file could not be written', async () => {
    let isWritten = false;
    const cache = new ResultCache(rig.dir, async (path) => {
      if (path.includes('second')) await sleep(20);
      isWritten = path.includes('second');
      throw new Error('EROFS');
    });
    const chain = new Chain({ invoke: rig.invoke, cache, binDirs: [] });
    const options = { signal, remainingMs: 10_000 };
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    const late = await podNetwork(chain).attach(target, observer, options);
    await sleep(20);
    process.off('unhandledRejection', note);
    await assert.rejects(late.cached, /EROFS/);
    assert.deepEqual(unhandled, []);
    const second = { ...record, network: both({ name: 'second' }), ifName: 'eth1' };
    const several = { ...target, attachments: [record, second] };
    const { cached } = await podNetwork(chain).attach(several, observer, options);
    await assert.rejects(cached, /EROFS/);
    assert.equal(isWritten, true, 'a DEL may follow');
  });

  it('are tried again after an exhausted range with a DEL between, and both failures are told', async () => {
    let isTaken = false;
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      if (verb === 'DEL') isTaken = false;
      if (verb !== 'ADD') return;
      if (isTaken) throw new Error('container veth name provided (eth0) already exists');
      isTaken = true;
      throw new Error('no IP addresses available in range set: 10.0.0.1-10.0.0.2');
    };
    const options = { signal, remainingMs: 10_000 };
    await assert.rejects(
      podNetwork(rig.chain).attach(target, observer, options),
      /no IP addresses available/,
    );
    assert.deepEqual(rig.invoke.calls, [
      'ADD bridge',
      'ADD portmap',
      'DEL portmap',
      'DEL bridge',
      'ADD bridge',
      'ADD portmap',
    ]);
    const del = rig.invoke.requests.find(({ verb }) => verb === 'DEL');
    assert.deepEqual((del?.config['prevResult'] as typeof RESULT).ips, RESULT.ips);
    let adds = 0;
    rig.invoke.behaviours['bridge'] = ({ verb }) => {
      if (verb === 'ADD' && (adds += 1) === 2) throw new Error('already exists');
      return RESULT;
    };
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      const text = verb === 'DEL' ? 'broken' : 'no IP addresses available in range set: 10.0.0.1-10.0.0.2';
      throw new PluginError(text, { provider: '/bin/portmap' });
    };
    const owed: Debtor[] = [];
    const network = podNetwork(rig.chain, owed);
    await assert.rejects(
      network.attach(target, observer, options),
      /no IP addresses available in range set.*; and tried again: .*already exists/,
    );
    await network.detach(target, [], observer, { namespaceEnds: true, remainingMs: 10_000 });
    assert.equal(owed.length, 1, 'the first ADD came to the plugin whose DEL fails');
  });

  it('owe the DEL of a network with what it gave when a later one failed', async () => {
    rig.invoke.behaviours['bridge'] = ({ verb, config }) => {
      if (verb === 'DEL') throw new Error('broken');
      if (config['name'] === 'second') throw new Error('no luck');
      return RESULT;
    };
    const second = { ...record, network: both({ name: 'second' }), ifName: 'eth1' };
    const several = { ...target, attachments: [record, second] };
    const owed: Debtor[] = [];
    const network = podNetwork(rig.chain, owed);
    await assert.rejects(network.attach(several, observer, { signal, remainingMs: 10_000 }), /no luck/);
    await network.detach(several, [], observer, { namespaceEnds: true, remainingMs: 10_000 });
    const given = owed.map(({ attachment, result }) => [attachment.network.name, addressesOf(result)]);
    assert.deepEqual(given, [['net', ['10.0.0.2']]]);
  });
});
