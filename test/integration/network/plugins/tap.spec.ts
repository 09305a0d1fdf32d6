import assert from 'node:assert/strict';
import { TestNetns } from '../../../helpers/netns.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callPlugin } from '../../../helpers/plugin-process.ts';

describe('tap plugin', () => {
  it('makes no device with a label that SELinux does not know, or where there is no SELinux', async () => {
    await using node = await TestNode.create();
    using pod = new TestNetns();
    const config = {
      cniVersion: '1.0.0',
      name: 'net',
      type: 'tap',
      selinuxContext: 'nobody_u:nobody_r:nobody_t:s0',
    };
    for (const form of ['berth', 'in-process'] as const) {
      const { exitCode, output } = await callPlugin(node, form, {
        verb: 'ADD',
        type: 'tap',
        config,
        netns: pod.path,
      });
      assert.equal(exitCode, 1);
      assert.match(
        JSON.stringify(output),
        /failed to create tap: the kernel takes no SELinux label .*nobody_u:nobody_r:nobody_t:s0.*: EINVAL/,
      );
      assert.equal(pod.link('eth0'), undefined);
    }
  });
});
