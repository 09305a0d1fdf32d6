import assert from 'node:assert/strict';
import { join } from 'node:path';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { refuseWrites } from '../../helpers/mounts.ts';
import { Rig, Scratch } from '../../helpers/fixture.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';

interface Conflist {
  plugins: Record<string, unknown>[];
}

describe('a pod that fails once its network is attached', () => {
  it('and whose DEL fails, too, holds its address back', async () => {
    await using scratch = await Scratch.create();
    const plugin = await scriptedPlugin(scratch.path, 'shaky');
    const list = bridgeNetwork(scratch.path) as Conflist;
    await using rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins: [...list.plugins, { type: 'shaky' }] } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client, directory } = rig.daemon;
    await client.remove(await client.run(podConfig('before')));
    // Nor has the cache what the network gave.
    const mend = await refuseWrites([join(directory, 'cni/results')]);
    await plugin.on('del', 'exit 1');
    const sysctls = { 'net.ipv4.conf.eth0.no_such_key': '1' };
    await assert.rejects(client.run(podConfig('late', { linux: { sysctls } })), { details: /no_such_key/ });
    const debts = JSON.parse((await client.status(true)).info['debts'] ?? '') as { addresses: string[] }[];
    assert.deepEqual(
      debts.map(({ addresses }) => addresses),
      [['10.97.0.3']],
    );
    await mend();
    await plugin.on('del', '');
  });
});
