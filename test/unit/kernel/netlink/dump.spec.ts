import assert from 'node:assert/strict';
import { NetlinkSocket } from '../../../../src/kernel/netlink/socket.ts';

describe('a dump that changes while it is read', () => {
  const request = { type: 18, flags: 0, payload: Buffer.alloc(16), subject: 'links' };

  /** A socket of which the first so many answers are incomplete. */
  function interrupted(times: number): { socket: NetlinkSocket; asked: () => number } {
    const socket = NetlinkSocket.open();
    let asked = 0;
    const dumpOnce = (): unknown => ({ messages: [], interrupted: ++asked <= times });
    return { socket: Object.assign(socket, { dumpOnce }), asked: () => asked };
  }

  it('is read again', () => {
    const { socket, asked } = interrupted(12);
    using _ = socket;
    assert.deepEqual(socket.dump(request), []);
    assert.equal(asked(), 13);
  });

  it('is never taken for complete', () => {
    const { socket } = interrupted(Number.POSITIVE_INFINITY);
    using _ = socket;
    assert.throws(() => socket.dump(request), { code: 'EINTR', message: /RTM_GETLINK links: / });
  });
});
