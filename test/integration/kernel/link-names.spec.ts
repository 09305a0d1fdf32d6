import assert from 'node:assert/strict';
import { findLink } from '../../../src/kernel/netlink/links.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { TestNetns } from '../../helpers/netns.ts';

describe('the name of a link', () => {
  let netns: TestNetns;
  let socket: NetlinkSocket;
  before(() => {
    netns = new TestNetns();
    socket = NetlinkSocket.openIn(netns.path);
    netns.ip('link', 'add', 'short', 'type', 'bridge');
  });
  after(() => {
    socket.close();
    netns[Symbol.dispose]();
  });

  it('may be an alternative one, of any length', () => {
    for (const name of ['other', 'enp0s31f6np0_of_rack_7', 'x'.repeat(127)]) {
      netns.ip('link', 'property', 'add', 'dev', 'short', 'altname', name);
      assert.equal(findLink(socket, name)?.name, 'short');
    }
  });

  it('may be one that no link can have, and then there is none', () => {
    for (const length of [15, 16, 126, 128, 300])
      assert.equal(findLink(socket, 'y'.repeat(length)), undefined);
  });
});
