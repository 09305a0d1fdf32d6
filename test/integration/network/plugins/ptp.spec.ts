import assert from 'node:assert/strict';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNetns } from '../../../helpers/netns.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell } from '../../../helpers/plugin-process.ts';

describe('ptp', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  it('does not ask for other owners of an IPv6 address that only its two ends could have', async () => {
    const dataDir = cleanup.use(await Scratch.create()).path;
    const node = cleanup.use(await TestNode.create());
    using pod = new TestNetns();
    const ipam = {
      type: 'host-local',
      dataDir,
      ranges: [[{ subnet: 'fd07::/64' }]],
      routes: [{ dst: '::/0' }],
    };
    const config = { cniVersion: '1.0.0', name: 'net', type: 'ptp', ipam };
    const call = { type: 'ptp', config, netns: pod.path } as const;
    const result = await callWell(node, 'in-process', { ...call, verb: 'ADD' });
    const [{ name: host }] = result?.['interfaces'] as [{ name: string }];
    assert.equal(pod.sysctl('net/ipv6/conf/eth0/accept_dad'), '0');
    assert.equal((await node.run('cat', `/proc/sys/net/ipv6/conf/${host}/accept_dad`)).trim(), '0');
    assert.deepEqual(pod.addresses('eth0'), ['fd07::2/64']);
    assert.match(pod.run('ping', '-6', '-c1', '-W2', 'fd07::1'), /1 received/);
    await callWell(node, 'in-process', { ...call, verb: 'DEL' });
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /veth/);
  });
});
