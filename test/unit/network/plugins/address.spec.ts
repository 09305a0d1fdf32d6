import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import fc from 'fast-check';
import { canonicalIp } from '../../../../src/network/cni/versions/addresses.ts';
import {
  type Address,
  bits,
  type Cidr,
  formatAddress,
  formatCidr,
  inNetwork,
  lastOf,
  networkOf,
  offset,
  parseAddress,
  parseCidr,
} from '../../../../src/network/plugins/address.ts';
import { anyAddress, anyCidr } from '../../../helpers/network-arbitraries.ts';

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

  it('are what they were when they are printed and parsed, with and without a prefix', () => {
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        assert.deepEqual(parseAddress(formatAddress(cidr.address)), cidr.address);
        assert.deepEqual(parseCidr(formatCidr(cidr)), cidr);
      }),
    );
  });

  it('have a network that holds 2^(bits - prefix) addresses in a row, and no other', () => {
    fc.assert(
      fc.property(anyCidr, anyAddress, (cidr, other) => {
        const [first, last] = [networkOf(cidr), lastOf(cidr)];
        const size = 1n << BigInt(bits(cidr.address.family) - cidr.prefix);
        assert.equal(last.value - first.value + 1n, size);
        assert.equal(first.value % size, 0n);
        assert.deepEqual(networkOf({ address: last, prefix: cidr.prefix }), first);
        for (const inside of [first, last, cidr.address]) assert.equal(inNetwork(inside, cidr), true);
        for (const outside of [offset(first, -1n), offset(last, 1n)])
          assert.equal(outside.value >= 0n && inNetwork(outside, cidr), false);
        const between = other.value >= first.value && other.value <= last.value;
        assert.equal(inNetwork(other, cidr), other.family === first.family && between);
      }),
    );
  });

  it('lie in the networks that the runtime says they lie in', () => {
    fc.assert(
      fc.property(anyCidr, anyAddress, fc.nat(), (cidr, far, by) => {
        const size = 1n << BigInt(bits(cidr.address.family) - cidr.prefix);
        const near = offset(networkOf(cidr), BigInt(by) % size);
        const list = new BlockList();
        const type = (address: Address) => (address.family === 4 ? 'ipv4' : 'ipv6');
        list.addSubnet(formatAddress(networkOf(cidr)), cidr.prefix, type(cidr.address));
        for (const address of [near, far].filter(({ family }) => family === cidr.address.family))
          assert.equal(inNetwork(address, cidr), list.check(formatAddress(address), type(address)));
      }),
    );
  });
});
