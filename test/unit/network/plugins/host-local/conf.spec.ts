import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { formatAddress } from '../../../../../src/network/plugins/address.ts';
import {
  networkDirectory,
  parseConf,
  unknownKey,
} from '../../../../../src/network/plugins/ipam/host-local/conf.ts';
import { setText } from '../../../../../src/network/plugins/ipam/host-local/ranges.ts';
import { parseResolvConf } from '../../../../../src/network/plugins/ipam/host-local/resolv-conf.ts';

function parse(ipam: JsonObject, more: JsonObject = {}, args = '') {
  return parseConf({ config: { cniVersion: '1.0.0', name: 'net', ...more, ipam }, args });
}

function sets(ipam: JsonObject, more: JsonObject = {}): string[] {
  return parse(ipam, more).rangeSets.map(setText);
}

const range = { subnet: '10.1.2.0/24', rangeStart: '10.1.2.9', rangeEnd: '10.1.2.20', gateway: '10.1.2.30' };

describe('host-local configuration', () => {
  it('puts ipRanges first, then the old flat range, then ranges', () => {
    const more = { runtimeConfig: { ipRanges: [[{ subnet: '12.1.3.0/24' }]] } };
    const wanted = ['12.1.3.1-12.1.3.254', '10.1.2.9-10.1.2.20', '11.1.2.1-11.1.2.254,11.1.3.5-11.1.3.254'];
    const ranges = [[{ subnet: '11.1.2.0/24' }, { subnet: '11.1.3.0/24', rangeStart: '11.1.3.5' }]];
    assert.deepEqual(sets({ ...range, ranges }, more), wanted);
  });

  it('completes ranges: first address, last address, gateway', () => {
    const { rangeSets } = parse({ ranges: [[{ subnet: '10.0.0.0/30' }], [{ subnet: 'fd00::/126' }]] });
    assert.deepEqual(rangeSets.map(setText), ['10.0.0.1-10.0.0.2', 'fd00::1-fd00::3']);
    assert.deepEqual(
      rangeSets.map(([first]) => first && formatAddress(first.gateway)),
      ['10.0.0.1', 'fd00::1'],
    );
  });

  it('refuses ranges with the texts of the reference plugin', () => {
    const bad: [JsonObject[][], string][] = [
      [[[{ subnet: '10.0.0.0/31' }]], 'invalid range set 0: Network 10.0.0.0/31 too small to allocate from'],
      [[[{ subnet: 'fd00::/127' }]], 'invalid range set 0: Network fd00::/127 too small to allocate from'],
      [
        [[{ subnet: '10.1.2.3/24' }]],
        'invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0',
      ],
      [
        [[{ subnet: '10.1.0.0/22' }, { subnet: '10.1.2.0/24' }]],
        'invalid range set 0: subnets 10.1.0.1-10.1.3.254 and 10.1.2.1-10.1.2.254 overlap',
      ],
      [
        [[{ subnet: '10.1.0.0/22' }, { subnet: '2001:db8:5::/64' }]],
        'invalid range set 0: mixed address families',
      ],
      [[[{ subnet: '10.1.0.0/22' }], []], 'invalid range set 1: empty range set'],
      [
        [[{ subnet: '10.1.0.0/24', rangeStart: '10.2.0.5' }]],
        'invalid range set 0: RangeStart 10.2.0.5 not in network 10.1.0.0/24',
      ],
      [
        [[{ subnet: '10.1.0.0/24', rangeEnd: '10.2.0.5' }]],
        'invalid range set 0: RangeEnd 10.2.0.5 not in network 10.1.0.0/24',
      ],
      [
        [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.5' }]],
        'invalid range set 0: RangeStart 10.1.0.9 not in network 10.1.0.0/24',
      ],
      [
        [[{ subnet: '10.1.2.0/24' }], [{ subnet: '10.9.0.0/24' }], [{ subnet: '10.1.2.0/25' }]],
        'range set 0 overlaps with 2',
      ],
      [[[{ gateway: '10.1.2.1' }]], 'invalid range set 0: IP <nil> not v4 nor v6'],
    ];
    for (const [ranges, message] of bad)
      assert.throws(() => parse({ ranges }), { name: 'CniError', message });
    assert.throws(() => parse({}), { message: 'no IP ranges specified' });
  });

  it('names the key that holds a malformed address', () => {
    const message = 'invalid range set 1[0].subnet: invalid CIDR address: 10.0.0.0';
    assert.throws(() => parse({ ...range, ranges: [[{ subnet: '10.0.0.0' }]] }), { code: 7, message });
    assert.throws(
      () => parse({ ranges: [[{ subnet: '10.0.0.0/8', gateway: 'x' }]] }),
      /gateway: invalid IP address: x/,
    );
    assert.throws(() => parse({ ranges: {} }), { code: 6, message: 'invalid ipam.ranges: must be an array' });
  });

  it('allows more than one address per family from 0.3.0 on', () => {
    const ranges = [[{ subnet: '10.1.2.0/24' }], [{ subnet: '11.1.2.0/24' }]];
    const message = 'CNI version 0.2.0 does not support more than 1 address per family';
    assert.throws(() => parse({ ranges }, { cniVersion: '0.2.0' }), { message });
    assert.equal(
      sets({ ranges: [ranges[0] ?? [], [{ subnet: 'fd00::/64' }]] }, { cniVersion: '0.2.0' }).length,
      2,
    );
  });

  it('collects requested addresses from CNI_ARGS, args and runtimeConfig, with or without prefix length', () => {
    const more = {
      args: { cni: { ips: ['10.1.2.11/24', 'fd00::5'] } },
      runtimeConfig: { ips: ['10.1.2.12'] },
    };
    const { requested } = parse(range, more, 'IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.1.2.10');
    assert.deepEqual(requested.map(formatAddress), ['10.1.2.10', '10.1.2.11', 'fd00::5', '10.1.2.12']);
    assert.throws(
      () => parse(range, { runtimeConfig: { ips: ['x'] } }),
      /runtimeConfig.ips: invalid IP address x/,
    );
  });

  it('understands the keys of its own object, in any case, and no others', () => {
    const known = {
      type: 'host-local',
      Subnet: '10.0.0.0/8',
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: '/x',
      resolvConf: '',
    };
    assert.equal(unknownKey({ bridge: 'cni0', ipam: known }), undefined);
    assert.equal(
      unknownKey({ ipam: { ...known, ranges: [[{ subnet: 'x', size: 5 }]] } }),
      'ipam.ranges[0][0].size',
    );
    assert.equal(unknownKey({ ipam: { ...known, exclude: [] } }), 'ipam.exclude');
  });

  it('needs no more than the directory of a network for DEL', () => {
    assert.equal(networkDirectory({ name: 'net', ipam: { ranges: 'broken' } }), '/var/lib/cni/networks/net');
    assert.equal(networkDirectory({ name: 'net', ipam: { DataDir: '/d' } }), '/d/net');
    assert.throws(() => networkDirectory({ name: 'net' }), { message: "IPAM config missing 'ipam' key" });
  });

  it('reads a resolv.conf', () => {
    const text =
      '# c\n; d\nnameserver 10.0.0.1\n  nameserver fd00::1\nsearch a b\nsearch c\ndomain x\ndomain y\noptions ndots:5\nsortlist\n';
    const wanted = {
      nameservers: ['10.0.0.1', 'fd00::1'],
      domain: 'y',
      search: ['a', 'b', 'c'],
      options: ['ndots:5'],
    };
    assert.deepEqual(parseResolvConf(text), wanted);
    assert.deepEqual(parseResolvConf('nameserver\n\n'), {});
  });
});
