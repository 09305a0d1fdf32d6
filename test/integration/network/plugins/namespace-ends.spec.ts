import assert from 'node:assert/strict';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNetns } from '../../../helpers/netns.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell } from '../../../helpers/plugin-process.ts';

describe('DEL before the namespace ends', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  /** What only one pod at a time can have: the address, and of macvlan's mode passthru the parent. */
  const kinds = [
    { type: 'ptp', left: 'DOWN' },
    { type: 'macvlan', master: 'parent', mode: 'passthru', left: undefined },
  ];

  for (const { left, ...kind } of kinds) {
    it(`takes the link of ${kind.type} away or down, so that the next pod gets what it had while the namespace lives on`, async () => {
      const dataDir = cleanup.use(await Scratch.create()).path;
      const node = cleanup.use(await TestNode.create());
      await node.run('ip', 'link', 'add', 'parent', 'type', 'veth', 'peer', 'name', 'parent-peer');
      using before = new TestNetns();
      using after = new TestNetns();
      const range = { subnet: '10.7.0.0/24', rangeStart: '10.7.0.5', rangeEnd: '10.7.0.5' };
      const ipam = { type: 'host-local', dataDir, ranges: [[range]] };
      const config = { cniVersion: '1.0.0', name: 'net', ...kind, ipam };
      const old = { type: kind.type, config, netns: before.path, containerId: 'before' } as const;
      const next = { ...old, netns: after.path, containerId: 'after' };
      await callWell(node, 'in-process', { ...old, verb: 'ADD' });
      await callWell(node, 'in-process', { ...old, verb: 'DEL', hints: { namespaceEnds: true } });
      assert.equal(before.link('eth0')?.['operstate'], left);
      await callWell(node, 'in-process', { ...next, verb: 'ADD' });
      assert.deepEqual(after.addresses('eth0'), ['10.7.0.5/24']);
    });
  }
});
