import assert from 'node:assert/strict';
import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { formatIp, parseIp, parsePrefix } from '../../../../src/kernel/netlink/ip.ts';

describe('IP addresses as bytes', () => {
  it('parses what it printed', () => {
    const address = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(address, (bytes) => {
        assert.deepEqual(parseIp(formatIp(bytes)), Buffer.from(bytes));
      }),
    );
  });

  it('prints IPv6 as libc does', () => {
    // Groups are zero more often than not, so that runs of zeros of all lengths come up.
    const groups = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(groups, ([first = 0, ...rest]) => {
        // The first group keeps it clear of the IPv4-compatible forms, which libc prints with dots.
        const all = [first | 0x2000, ...rest];
        const bytes = Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
        const expected = new SocketAddress({
          address: all.map((group) => group.toString(16)).join(':'),
          family: 'ipv6',
        });
        assert.equal(formatIp(bytes), expected.address);
      }),
    );
  });

  it('reads the forms that people write', () => {
    assert.equal(formatIp(parseIp('::')), '::');
    assert.equal(formatIp(parseIp('::1')), '::1');
    assert.equal(formatIp(parseIp('FD00:0:0:0:0:0:0:1')), 'fd00::1');
    assert.equal(formatIp(parseIp('::ffff:10.0.0.1')), '::ffff:10.0.0.1');
    assert.equal(formatIp(parseIp('fe80::1:0:0:0')), 'fe80::1:0:0:0');
  });

  it('keeps host bits of a prefix', () => {
    assert.deepEqual(parsePrefix('10.88.0.5/16'), { bytes: Buffer.from([10, 88, 0, 5]), length: 16 });
    assert.deepEqual(parsePrefix('::/0'), { bytes: Buffer.alloc(16), length: 0 });
  });

  it('refuses everything else', () => {
    for (const bad of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', '1.2.3.4/8', 'localhost', '::g']) {
      assert.throws(() => parseIp(bad), RangeError, bad);
    }
    for (const bad of [
      '10.0.0.1',
      '10.0.0.1/33',
      '10.0.0.1/',
      '10.0.0.1/-1',
      '::/129',
      '/8',
      '10.0.0.1/8/8',
    ]) {
      assert.throws(() => parsePrefix(bad), RangeError, bad);
    }
  });
});
