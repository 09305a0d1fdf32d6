import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/lib/json.ts';
import { Cleanup } from '../helpers/cleanup.ts';
import { Scratch } from '../helpers/fixture.ts';
import { TestNode } from '../helpers/node.ts';
import { callPlugin, callWell, type PluginCall } from '../helpers/plugin-process.ts';

describe('bridge plugin with VLANs', () => {
  it("keeps a VLAN's gateway while another container of that VLAN uses it", async function () {
    this.timeout(300_000);
    await using cleanup = new Cleanup();
    const host = cleanup.use(await TestNode.create());
    const { path: dataDir } = cleanup.use(await Scratch.create());
    const call = async (containerId: string, vlan: number, subnet: string) => {
      const pod = cleanup.use(await TestNode.create());
      const config: JsonObject = {
        ...{ cniVersion: '1.0.0', name: `net${vlan}`, type: 'bridge', bridge: 'br66', isGateway: true, vlan },
        ipam: { type: 'host-local', dataDir: `${dataDir}/${subnet.slice(0, -3)}`, ranges: [[{ subnet }]] },
      };
      return (verb: PluginCall['verb']): PluginCall => ({
        ...{ verb, type: 'bridge', containerId, netns: pod.path, config },
      });
    };
    const gateway = () => host.run('ip', '-br', '-4', 'address', 'show', 'br66.10');
    const first = await call('first', 10, '10.61.0.0/24');
    await callWell(host, 'in-process', first('ADD'));
    await callWell(host, 'in-process', (await call('other', 20, '10.62.0.0/24'))('ADD'));
    assert.match(await gateway(), / 10\.61\.0\.1\/24 *$/);

    const moved = await call('moved', 10, '10.63.0.0/24');
    const refused = await callPlugin(host, 'in-process', moved('ADD'));
    assert.match(
      refused.output?.['msg'] as string,
      /"br66\.10" already has an IP address different from 10\.63\.0\.1\/24$/,
    );
    assert.match(
      refused.output?.['details'] as string,
      /^in use by port veth[0-9a-f]{8}, which have to go first$/,
    );
    assert.match(await gateway(), / 10\.61\.0\.1\/24 *$/);

    await callWell(host, 'in-process', first('DEL'));
    await callWell(host, 'in-process', moved('ADD'));
    assert.match(await gateway(), / 10\.63\.0\.1\/24 *$/);
  });
});
