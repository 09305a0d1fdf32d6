import assert from 'node:assert/strict';
import type { CniConfig } from '../../../src/config/schema.ts';
import type { AttachmentRecord } from '../../../src/network/attachment.ts';
import { fromResult } from '../../../src/network/cni/versions/convert.ts';
import type { Debts } from '../../../src/network/debts.ts';
import { PodNetwork, type Target } from '../../../src/network/pod-network.ts';
import { both, ChainRig, RESULT, signal } from './cni/chain/rig.ts';

describe('the networks of a pod', () => {
  const rig = new ChainRig();

  it('are taken down by what the plugins before the one that failed have returned', async () => {
    rig.invoke.behaviours['bridge'] = ({ verb }) => {
      if (verb === 'DEL') throw new Error('broken');
      return RESULT;
    };
    rig.invoke.behaviours['portmap'] = ({ verb }) => {
      if (verb === 'ADD') throw new Error('the port is taken');
    };
    const owed: Parameters<Debts['owe']>[0][] = [];
    const network = new PodNetwork({
      chain: rig.chain,
      debts: {
        beforeAdd: async () => undefined,
        owe: async (debtor: Parameters<Debts['owe']>[0]) => void owed.push(debtor),
      } as unknown as Debts,
      networks: undefined as never,
      settings: { addTimeoutSeconds: 5, delTimeoutSeconds: 5, cacheDir: rig.dir } as CniConfig,
      count: () => undefined,
      withheld: () => ({ addresses: [], hostPorts: [] }),
    });
    const record: AttachmentRecord = { network: both(), ifName: 'eth0', args: [], capabilityArgs: {} };
    const target: Target = {
      sandboxId: 'c1',
      pod: 'default/web',
      netns: '/run/netns/n',
      attachments: [record],
    };
    const observer = { onStep: () => undefined, onProcess: () => undefined };
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
});
