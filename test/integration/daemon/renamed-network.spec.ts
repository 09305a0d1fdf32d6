import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { podConfig } from '../../helpers/cri-client.ts';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { eventually, Rig } from '../../helpers/fixture.ts';

describe('a network that is configured anew while pods are on it', () => {
  const changes: [string, (directory: string) => object][] = [
    ['under another name', (directory) => ({ ...(bridgeNetwork(directory) as object), name: 'other' })],
    ['with another dataDir', (directory) => bridgeNetwork(join(directory, 'other')) as object],
  ];
  for (const [how, changed] of changes) {
    it(`${how} hands out none of the addresses that they have`, async () => {
      await using rig = await Rig.start();
      const { client, confDir, directory } = rig.daemon;
      const run = async (name: string): Promise<string> =>
        (await client.podStatus(await client.run(podConfig(name)))).status?.network?.ip ?? '';
      const before = [await run('a'), await run('b')];

      await writeFile(join(confDir, 'new'), JSON.stringify(changed(directory)));
      await rename(join(confDir, 'new'), join(confDir, '10-test.conflist'));
      await eventually('the new configuration is in use', async () => {
        const { info } = await client.status(true);
        return info['cniconfig']?.includes('other') === true ? true : undefined;
      });
      const all = [...before, await run('c'), await run('d')];
      assert.equal(new Set(all).size, all.length, all.join(' '));
    });
  }
});
