import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalIp } from '../../../../src/network/cni/versions/addresses.ts';
import {
  type Cidr,
  formatAddress,
  formatCidr,
  inNetwork,
  lastOf,
  networkOf,
  parseAddress,
  parseCidr,
} from '../../../../src/network/plugins/address.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, text);
  return parsed;
}

describe('addresses', () => {
  it('prints what it parsed, in canonical text', () => {
    const texts = {
      '10.0.0.1': '10.0.0.1',
      '::': '::',
      '::1': '::1',
      'FD00:0:0:0:0:0:0:5': 'fd00::5',
      '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
      'fe80::1:0:0:2': 'fe80::1:0:0:2',
      '1:0:3:4:5:6:7:8': '1:0:3:4:5:6:7:8',
      '64:ff9b::10.1.2.3': '64:ff9b::a01:203',
      '::ffff:10.1.2.3': '10.1.2.3',
    };
    for (const [given, wanted] of Object.entries(texts)) {
      const address = parseAddress(given);
      assert.ok(address, given);
      assert.equal(formatAddress(address), wanted);
    }
  });

  it('agrees with the runtime on the text of every IPv6 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const address = parseAddress(text);
        assert.ok(address);
        assert.deepEqual(parseAddress(formatAddress(address)), address);
        // libc writes the last 32 bits of ::/96 as IPv4, Go does not.
        const runtimes = canonicalIp(text) ?? '';
        if (!runtimes.includes('.')) assert.equal(formatAddress(address), runtimes);
      }),
    );
  });

  it('refuses what Go refuses', () => {
    for (const text of [
      '',
      '10.0.0',
      '10.0.0.256',
      '010.0.0.1',
      'fe80::1%eth0',
      'x',
      '1::2::3',
      '10.0.0.1/8',
    ]) {
      assert.equal(parseAddress(text), undefined, text);
    }
    for (const text of [
      '10.0.0.1',
      '10.0.0.1/33',
      '10.0.0.1/08',
      '::/129',
      '/24',
      '10.0.0.0/-1',
      '10.0.0.0/8/8',
    ]) {
      assert.equal(parseCidr(text), undefined, text);
    }
  });

  it('finds the first and last address of a network', () => {
    assert.equal(formatAddress(networkOf(cidr('10.1.2.3/22'))), '10.1.0.0');
    assert.equal(formatAddress(lastOf(cidr('10.1.2.3/22'))), '10.1.3.255');
    assert.equal(formatAddress(lastOf(cidr('fd00::/64'))), 'fd00::ffff:ffff:ffff:ffff');
    assert.equal(formatCidr(cidr('0.0.0.0/0')), '0.0.0.0/0');
  });

  it('knows what lies in a network', () => {
    const inside = cidr('10.1.3.255/32').address;
    assert.equal(inNetwork(inside, cidr('10.1.0.0/22')), true);
    assert.equal(inNetwork(inside, cidr('10.1.4.0/22')), false);
    assert.equal(inNetwork(inside, cidr('::/0')), false);
  });
});
