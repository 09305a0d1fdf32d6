import assert from 'node:assert/strict';
import { vlanData } from '../../../../src/kernel/netlink/link-kinds.ts';
import { type Link, newLink, parseLink } from '../../../../src/kernel/netlink/links.ts';
import { Rtm } from '../../../../src/kernel/netlink/constants.ts';
import { look } from '../../../../src/network/plugins/main/vlan/index.ts';

/** What the kernel would tell of a link that is made so. */
function linkLike(spec: Parameters<typeof newLink>[0]): Link {
  return parseLink({ type: Rtm.NEWLINK, flags: 0, seq: 0, port: 0, payload: newLink(spec).payload });
}

describe('CHECK of vlan', () => {
  const link = linkLike({ name: 'eth0', kind: 'vlan', data: vlanData(66), mtu: 1_500 });
  const says = (id: number, mtu: number): void => look(link, { id, parent: { mtu } });

  it('compares the id, and the MTU if one is configured', () => {
    says(66, 0);
    says(66, 1_500);
    assert.throws(() => says(67, 0), /vlan ID 66 does not match expected value: 67/);
    assert.throws(() => says(66, 1_400), /vlan MTU 1500 does not match expected value: 1400/);
  });
});
