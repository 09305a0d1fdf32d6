import assert from 'node:assert/strict';
import { NetlinkSocket } from '../../../../src/kernel/netlink/socket.ts';

describe('a dump that changes while it is read', () => {
  const request = { type: 18, flags: 0, payload: Buffer.alloc(16), subject: 'links' };

  let asked = 0;
  /** A socket of which the first so many answers are incomplete. */
  function interrupted(times: number): NetlinkSocket {
    asked = 0;
    const dumpOnce = (): unknown => ({ messages: [], interrupted: ++asked <= times });
    return Object.assign(NetlinkSocket.open(), { dumpOnce });
  }

  it('is read again', () => {
    using socket = interrupted(12);
    assert.deepEqual(socket.dump(request), []);
    assert.equal(asked, 13);
  });

  it('is never taken for complete', () => {
    using socket = interrupted(Number.POSITIVE_INFINITY);
    assert.throws(() => socket.dump(request), { code: 'EINTR', message: /RTM_GETLINK links: / });
  });
});
