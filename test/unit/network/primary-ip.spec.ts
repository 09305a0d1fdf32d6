import assert from 'node:assert/strict';
import type { Result } from '../../../src/network/cni/types.ts';
import { choosePrimaryIp, type IpPreference } from '../../../src/network/primary-ip.ts';

const SANDBOX = '/run/netns/pod';

function result(part: Partial<Result>): Result {
  return { cniVersion: '1.1.0', interfaces: [], ips: [], routes: [], dns: {}, ...part };
}

/** bridge's shape: host bridge, host veth, eth0 in the sandbox. */
function bridged(...addresses: string[]): Result {
  return result({
    interfaces: [{ name: 'cni0' }, { name: 'veth1' }, { name: 'eth0', sandbox: SANDBOX }],
    ips: addresses.map((address) => ({ interface: 2, address })),
  });
}

describe('the primary IP', () => {
  const preferences: [IpPreference, string[], string, string[]][] = [
    ['ipv4', ['fd00::5/64', '10.1.0.5/24'], '10.1.0.5', ['fd00::5']],
    ['ipv6', ['10.1.0.5/24', 'fd00::5/64'], 'fd00::5', ['10.1.0.5']],
    ['cni', ['fd00::5/64', '10.1.0.5/24'], 'fd00::5', ['10.1.0.5']],
    ['ipv4', ['fd00::5/64', 'fd00::6/64'], 'fd00::5', ['fd00::6']],
    ['ipv4', ['10.1.0.9/24', 'fd00::5/64', '10.1.0.5/24'], '10.1.0.9', ['fd00::5', '10.1.0.5']],
  ];
  for (const [preference, given, ip, additional] of preferences) {
    it(`is ${ip} of ${given.join(', ')} with ip_pref ${preference}, and the rest keep their order`, () => {
      const primary = choosePrimaryIp(bridged(...given), 'eth0', preference);
      assert.equal(primary?.ip, ip);
      assert.deepEqual(primary.additionalIps, additional);
    });
  }

  it('follows the family of the node with ip_pref auto', () => {
    const dual = bridged('10.1.0.5/24', 'fd00::5/64');
    assert.equal(choosePrimaryIp(dual, 'eth0', 'auto', () => 'ipv6')?.ip, 'fd00::5');
    assert.equal(choosePrimaryIp(dual, 'eth0', 'auto', () => 'ipv4')?.ip, '10.1.0.5');
  });

  it('is written in short form whatever the plugin wrote', () => {
    assert.equal(choosePrimaryIp(bridged('FD00:0:0:0::0005/64'), 'eth0', 'ipv6')?.ip, 'fd00::5');
  });

  it('is an address without an interface when the result has no interfaces', () => {
    const primary = choosePrimaryIp(result({ ips: [{ address: '10.1.0.5/24' }] }), 'eth0', 'ipv4');
    assert.equal(primary?.ip, '10.1.0.5');
  });

  it('is never one of the host, even of an interface called eth0', () => {
    const primary = choosePrimaryIp(
      result({
        interfaces: [{ name: 'eth0' }, { name: 'eth0', sandbox: SANDBOX }],
        ips: [
          { interface: 0, address: '192.0.2.1/24' },
          { interface: 1, address: '10.1.0.5/24' },
        ],
      }),
      'eth0',
      'ipv4',
    );
    assert.equal(primary?.ip, '10.1.0.5');
    assert.deepEqual(primary.additionalIps, []);
    assert.deepEqual(
      primary.candidates.map((c) => [c.address, c.verdict, c.reason]),
      [
        ['192.0.2.1/24', 'rejected', 'its interface belongs to the host'],
        ['10.1.0.5/24', 'primary', 'chosen'],
      ],
    );
  });

  it('leaves other interfaces of the sandbox alone when CNI_IFNAME has an address', () => {
    const primary = choosePrimaryIp(
      result({
        interfaces: [
          { name: 'net1', sandbox: SANDBOX },
          { name: 'eth0', sandbox: SANDBOX },
        ],
        ips: [
          { interface: 0, address: '10.9.0.1/24' },
          { interface: 1, address: '10.1.0.5/24' },
        ],
      }),
      'eth0',
      'cni',
    );
    assert.equal(primary?.ip, '10.1.0.5');
    assert.equal(primary.candidates[0]?.reason, 'its interface is not eth0');
  });

  it('is taken from the only interface of the sandbox when none is called CNI_IFNAME', () => {
    const named = {
      interfaces: [{ name: 'ens1', sandbox: SANDBOX }],
      ips: [{ interface: 0, address: '10.1.0.5/24' }],
    };
    const primary = choosePrimaryIp(result(named), 'eth0', 'ipv4');
    assert.equal(primary?.ip, '10.1.0.5');
    assert.match(primary.rule, /ens1 is the only interface in the sandbox/);
  });

  it('is absent when two interfaces of the sandbox could both be meant', () => {
    const two = result({
      interfaces: [
        { name: 'a', sandbox: SANDBOX },
        { name: 'b', sandbox: SANDBOX },
      ],
      ips: [
        { interface: 0, address: '10.1.0.5/24' },
        { interface: 1, address: '10.1.0.6/24' },
      ],
    });
    assert.equal(choosePrimaryIp(two, 'eth0', 'ipv4'), undefined);
  });

  it('is taken from CNI_IFNAME when the plugin says of no interface that it is in the sandbox', () => {
    const nowhere = result({
      interfaces: [{ name: 'cali1' }, { name: 'eth0' }],
      ips: [
        { interface: 0, address: '192.0.2.1/24' },
        { interface: 1, address: '10.1.0.5/24' },
      ],
    });
    const primary = choosePrimaryIp(nowhere, 'eth0', 'ipv4');
    assert.equal(primary?.ip, '10.1.0.5');
    assert.deepEqual(primary.additionalIps, []);
    assert.match(primary.rule, /^no address in the sandbox; eth0 is what was asked for/);
    assert.equal(choosePrimaryIp(nowhere, 'eth1', 'ipv4'), undefined);
  });

  it('is absent when the result has no address', () => {
    assert.equal(choosePrimaryIp(bridged(), 'eth0', 'ipv4'), undefined);
  });
});
