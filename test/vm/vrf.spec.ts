import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/lib/json.ts';
import { dual } from '../helpers/compliance/cases.ts';
import { Scratch } from '../helpers/fixture.ts';
import { TestNode } from '../helpers/node.ts';
import { callWell } from '../helpers/plugin-process.ts';

describe('vrf plugin', () => {
  it('takes routes by gateways along, which the release in Debian 12 loses', async function () {
    this.timeout(120_000);
    await using host = await TestNode.create();
    await using pod = await TestNode.create();
    await using scratch = await Scratch.create();
    const call = (verb: 'ADD' | 'CHECK' | 'DEL', config: JsonObject) =>
      callWell(host, 'in-process', {
        verb,
        type: config['type'] as string,
        config: { cniVersion: '1.0.0', name: 'net', ...config },
        netns: pod.path,
      });
    const ipam = { ...dual, dataDir: scratch.path, routes: [] };
    const bridge = { type: 'bridge', bridge: 'br66', isDefaultGateway: true, ipam };
    const prevResult = (await call('ADD', bridge)) ?? {};
    const vrf = { type: 'vrf', vrfname: 'blue', prevResult };
    await call('ADD', vrf);
    await call('CHECK', vrf);
    await call('CHECK', { ...bridge, prevResult });
    assert.match(await pod.run('ip', 'route', 'show', 'vrf', 'blue'), /default via 10\.66\.0\.1 dev eth0/);
    assert.match(await pod.run('ip', '-6', 'route', 'show', 'vrf', 'blue'), /default via fd66::1 dev eth0/);
    await call('DEL', vrf);
    assert.doesNotMatch(await pod.run('ip', '-br', 'link'), /blue/);
    await assert.rejects(call('CHECK', vrf), /VRF blue not found/);
    await call('DEL', bridge);
  });
});
