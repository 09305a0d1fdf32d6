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

  it('leads an address to its new pod while the link of the one before it is still there, and after', async () => {
    const dataDir = cleanup.use(await Scratch.create()).path;
    const node = cleanup.use(await TestNode.create());
    using before = new TestNetns();
    using after = new TestNetns();
    const ranges = [
      [{ subnet: '10.7.0.0/24', rangeStart: '10.7.0.5', rangeEnd: '10.7.0.5' }],
      [{ subnet: 'fd07::/64', rangeStart: 'fd07::5', rangeEnd: 'fd07::5' }],
    ];
    const ipam = { type: 'host-local', dataDir, ranges };
    const call = { type: 'ptp', config: { cniVersion: '1.0.0', name: 'net', type: 'ptp', ipam } } as const;
    const old = { ...call, containerId: 'before' } as const;
    await callWell(node, 'in-process', { ...old, netns: before.path, verb: 'ADD' });
    await callWell(node, 'in-process', { ...old, netns: '', verb: 'DEL' });
    await callWell(node, 'in-process', { ...call, containerId: 'after', netns: after.path, verb: 'ADD' });
    assert.match(await node.run('ping', '-c1', '-W2', '10.7.0.5'), /1 received/);
    before.run('ip', 'link', 'del', 'eth0');
    assert.match(await node.run('ping', '-c1', '-W2', '10.7.0.5'), /1 received/);
    assert.match(await node.run('ping', '-6', '-c1', '-W2', 'fd07::5'), /1 received/);
  });
});
