import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { type Address, formatCidr, parseAddress } from '../../../../../src/network/plugins/address.ts';
import { chainName, iptablesComment } from '../../../../../src/network/plugins/chain-names.ts';
import {
  chooseBackend,
  containerAddresses,
  mappingsOf,
  parseConf,
  parseMappings,
} from '../../../../../src/network/plugins/meta/portmap/conf.ts';
import {
  type LiveMapping,
  refuseConflicts,
  refuseWithheld,
  staleOwners,
} from '../../../../../src/network/plugins/meta/portmap/conflicts.ts';
import { portmap } from '../../../../../src/network/plugins/meta/portmap/index.ts';
import { fakeContext, pluginArgs, someResult } from '../fake-plugin.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed);
  return parsed;
}

function mapped(...portMappings: JsonObject[]): JsonObject {
  return { name: 'net', runtimeConfig: { portMappings } };
}

const web = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };

describe('portmap configuration', () => {
  it("reads mappings in the runtime's spelling, and in containerd's", () => {
    const [mapping] = parseMappings(
      mapped({ HostPort: 8080, ContainerPort: 80, Protocol: 'TCP', HostIP: '' }),
    );
    assert.deepEqual(mapping, {
      protocol: 'tcp',
      hostPort: 8080,
      containerPort: 80,
      hostIp: undefined,
      family: undefined,
    });
  });

  it('confines a mapping to the family of its host address', () => {
    const conf = parseConf(mapped(web, { ...web, hostIP: '0.0.0.0' }, { ...web, hostIP: '::1' }));
    assert.deepEqual(
      mappingsOf(conf, 4).map(({ hostIp }) => hostIp),
      [undefined, undefined],
    );
    assert.equal(mappingsOf(conf, 6).length, 2);
    assert.equal(conf.mappings[1]?.hostIp, undefined);
  });

  it('refuses ports and protocols that are none', () => {
    assert.throws(() => parseMappings(mapped({ ...web, containerPort: 0 })), {
      message: 'Invalid container port number: 0',
    });
    assert.throws(() => parseMappings(mapped({ ...web, hostPort: -1 })), {
      message: 'Invalid host port number: -1',
    });
    assert.throws(() => parseMappings(mapped({ ...web, hostPort: 65_536 })), {
      message: 'Invalid host port number: 65536',
    });
    assert.throws(
      () => parseMappings(mapped({ ...web, protocol: 'tcp; drop' })),
      /protocol: unknown protocol/,
    );
    assert.throws(() => parseMappings(mapped({ ...web, hostIP: 'x' })), /hostIP: invalid IP address: x/);
  });

  it('refuses options that exclude each other', () => {
    assert.throws(() => parseConf({ markMasqBit: 4, externalSetMarkChain: 'X' }), {
      message: 'Cannot specify externalSetMarkChain and markMasqBit',
    });
    assert.throws(() => parseConf({ markMasqBit: 32 }), { message: 'MasqMarkBit must be between 0 and 31' });
    assert.throws(() => parseConf({ backend: 'ebtables' }), { message: 'unrecognized backend "ebtables"' });
    assert.throws(() => parseConf({ conditionsV4: ['-s', '1.2.3.4\n-A INPUT'] }), /conditionsV4: line break/);
  });

  it('asks for the backend only when none is configured, and refuses options of the other', () => {
    const never = (): never => assert.fail('asked');
    assert.equal(chooseBackend(parseConf({ backend: 'nftables' }), never), 'nftables');
    assert.equal(
      chooseBackend(parseConf({}), () => 'nftables'),
      'nftables',
    );
    assert.throws(
      () =>
        chooseBackend(
          parseConf({ backend: 'nftables', externalSetMarkChain: 'X', conditionsV4: ['-s', 'x'] }),
          never,
        ),
      {
        message:
          'nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain conditionsV4]',
      },
    );
    assert.throws(() => chooseBackend(parseConf({ conditionsV6: ['ip6 saddr ::1'] }), () => 'iptables'), {
      message:
        'iptables backend was requested but configuration contains nftables-specific options [conditionsV6]',
    });
  });

  it('finds the first address of each family on the interface in the sandbox', () => {
    const result = {
      ...someResult,
      interfaces: [
        { name: 'cni0' },
        { name: 'eth0', sandbox: '/n' },
        { name: 'net1', sandbox: '/n' },
        { name: 'eth0' },
      ],
      ips: [
        { interface: 0, address: '10.1.0.1/16' },
        { interface: 2, address: '10.2.0.2/16' },
        { interface: 3, address: '10.2.0.3/16' },
        { interface: 1, address: '10.1.0.5/16' },
        { interface: 1, address: '10.1.0.6/16' },
        { address: 'fd00::5/64' },
      ],
    };
    assert.deepEqual(containerAddresses(result, 'eth0').map(formatCidr), ['10.1.0.5/16', 'fd00::5/64']);
  });

  it('names chains and comments as the reference plugin does', () => {
    assert.equal(chainName('DN-', 'net', 'abc'), 'CNI-DN-3ce8a0924fdef86d56ad1');
    assert.equal(chainName('', 'net', 'abc').length, 28);
    assert.equal(iptablesComment('net', 'abc', 'dnat '), 'dnat name: "net" id: "abc"');
    assert.equal(iptablesComment('n'.repeat(300), 'abc').length, 256);
  });

  it('starts nothing without mappings', () => {
    const context = fakeContext([]);
    const none = { ...mapped(), externalSetMarkChain: 'X', backend: 'iptables' };
    assert.equal(portmap.add(pluginArgs(none, { prevResult: someResult }), context), someResult);
    assert.throws(() => portmap.add(pluginArgs(none), context), {
      message: 'must be called as chained plugin',
    });
    assert.throws(() => portmap.check(pluginArgs(none), context), { message: 'Required prevResult missing' });
  });

  it('refuses a configuration that makes no sense also without mappings, in the words of the reference plugin', () => {
    const message = (problem: string) => ({ code: 999, message: `failed to parse config: ${problem}` });
    const wrong = {
      ...mapped(),
      backend: 'nftables',
      externalSetMarkChain: 'X',
      conditionsV6: ['-s', '::1'],
    };
    const args = pluginArgs({ ...wrong, prevResult: {} }, { prevResult: someResult });
    assert.equal(portmap.passesOn?.(args.config), false);
    const options = '[externalSetMarkChain conditionsV6]';
    assert.throws(
      () => portmap.add(args, fakeContext([])),
      message(
        `nftables backend was requested but configuration contains iptables-specific options ${options}`,
      ),
    );
    const bad = pluginArgs(mapped({ ...web, hostPort: 0 }), { prevResult: someResult });
    assert.throws(() => portmap.add(bad, fakeContext([])), message('Invalid host port number: 0'));
  });
});

describe('host ports', () => {
  const live: LiveMapping[] = [
    { containerId: 'a', protocol: 'tcp', hostPort: 8080, hostIp: undefined, target: address('10.1.0.5') },
    {
      containerId: 'b',
      protocol: 'tcp',
      hostPort: 9090,
      hostIp: address('127.0.0.1'),
      target: address('10.1.0.6'),
    },
  ];
  const self = { containerId: 'c', address: address('10.1.0.7') };
  const wants = (...mappings: JsonObject[]) => parseMappings(mapped(...mappings));

  it('are refused when another container has them, by its id', () => {
    assert.throws(() => refuseConflicts(wants(web), live, self), {
      code: 999,
      message: 'host port tcp/8080 is already mapped to container "a" (10.1.0.5)',
    });
    const bound = { ...web, hostPort: 9090, hostIP: '127.0.0.1' };
    assert.throws(
      () => refuseConflicts(wants(bound), live, self),
      /^CniError: host port tcp\/127\.0\.0\.1\/9090 .* "b"/,
    );
    assert.throws(() => refuseConflicts(wants({ ...bound, hostIP: '' }), live, self), /"b"/);
  });

  it('are free for another protocol, address or port, and for the container itself', () => {
    refuseConflicts(wants({ ...web, protocol: 'udp' }), live, self);
    refuseConflicts(wants({ ...web, hostPort: 8081 }), live, self);
    refuseConflicts(wants({ ...web, hostPort: 9090, hostIP: '10.0.0.1' }), live, self);
    refuseConflicts(wants(web), live, { ...self, containerId: 'a' });
  });

  it('are taken over from a container whose address is ours now', () => {
    const reused = { containerId: 'c', address: address('10.1.0.5') };
    refuseConflicts(wants(web), live, reused);
    assert.deepEqual(staleOwners(live, reused), ['a']);
    assert.deepEqual(staleOwners(live, self), []);
  });

  it('are refused while a debt withholds them', () => {
    assert.throws(
      () => refuseWithheld(wants(web), ['udp/8080', 'tcp/8080']),
      /^CniError: host port tcp\/8080 is withheld/,
    );
    assert.throws(() => refuseWithheld(wants({ ...web, hostIP: '::1' }), ['tcp/::1/8080']), /withheld/);
    refuseWithheld(wants({ ...web, hostIP: '10.0.0.1' }), ['tcp/127.0.0.1/8080', 'udp/8080']);
  });
});
