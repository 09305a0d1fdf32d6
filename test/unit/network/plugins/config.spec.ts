import assert from 'node:assert/strict';
import {
  arrayAt,
  booleanAt,
  firstUnknownKey,
  integerAt,
  key,
  stringAt,
  stringsAt,
} from '../../../../src/network/plugins/config.ts';
import { cniArgs } from '../../../../src/network/plugins/cni-args.ts';
import { validAttachments } from '../../../../src/network/plugins/attachments.ts';

describe('plugin configuration', () => {
  it('finds keys without case, the exact one first', () => {
    assert.equal(key({ hostport: 1, HostPort: 2, hostPort: 3 }, 'hostPort'), 3);
    assert.equal(key({ HostPort: 2 }, 'hostPort'), 2);
  });

  it('takes null for absent', () => {
    assert.equal(key({ mtu: null }, 'mtu'), undefined);
    assert.equal(integerAt({ mtu: null }, 'mtu'), undefined);
  });

  it('sees no keys of the prototype', () => {
    assert.equal(key({}, 'constructor'), undefined);
    assert.equal(key(JSON.parse('{"__proto__": {"name": "x"}}') as Record<string, never>, 'name'), undefined);
  });

  it('names the key that holds a wrong type', () => {
    assert.throws(() => stringAt({ name: 5 }, 'name'), {
      code: 6,
      message: 'invalid name: must be a string',
    });
    assert.throws(() => booleanAt({ snat: 'yes' }, 'snat'), {
      code: 6,
      message: 'invalid snat: must be true or false',
    });
    assert.throws(() => integerAt({ mtu: 1.5 }, 'mtu'), {
      code: 6,
      message: 'invalid mtu: must be an integer',
    });
    assert.throws(() => arrayAt({ ips: {} }, 'ips', 'args.cni.ips'), {
      message: 'invalid args.cni.ips: must be an array',
    });
    assert.throws(() => stringsAt({ ips: ['a', 1] }, 'ips'), { message: 'invalid ips[1]: must be a string' });
  });

  it('names the first key that is not understood, at any depth', () => {
    const known = { name: true, ranges: { subnet: true }, ipam: { type: true } } as const;
    assert.equal(firstUnknownKey({ name: 'x', Ranges: [[{ SUBNET: 'y' }]] }, known), undefined);
    assert.equal(firstUnknownKey({ name: 'x', extra: 1 }, known), 'extra');
    assert.equal(firstUnknownKey({ ranges: [[{ subnet: 'y' }, { size: 1 }]] }, known), 'ranges[0][1].size');
    assert.equal(firstUnknownKey({ ipam: { type: 't', x: { y: 1 } } }, known), 'ipam.x');
  });

  it('reads CNI_ARGS as the reference library does', () => {
    assert.deepEqual(cniArgs('', ['IP']), {});
    assert.equal(cniArgs('IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.0.0.1', ['IP'])['IP'], '10.0.0.1');
    assert.throws(() => cniArgs('FOO=bar;IP=1.2.3.4', ['IP']), {
      code: 999,
      message: 'ARGS: unknown args ["FOO=bar"]',
    });
    assert.throws(() => cniArgs('IgnoreUnknown=0;FOO=bar', ['IP']), /unknown args/);
    assert.throws(() => cniArgs('IP', ['IP']), { message: 'ARGS: invalid pair "IP"' });
    assert.throws(() => cniArgs('IP=a=b', ['IP']), { message: 'ARGS: invalid pair "IP=a=b"' });
    assert.throws(
      () => cniArgs('IgnoreUnknown=maybe;X=1', []),
      /boolean unmarshal error: invalid input maybe/,
    );
  });

  it('reads valid attachments under either name, and knows none from an empty list', () => {
    const one = [{ containerID: 'a', ifname: 'eth0' }];
    const wanted = [{ containerId: 'a', ifName: 'eth0' }];
    assert.deepEqual(validAttachments({ 'cni.dev/valid-attachments': one }), wanted);
    assert.deepEqual(validAttachments({ 'cni.dev/attachments': one }), wanted);
    assert.deepEqual(validAttachments({ 'cni.dev/valid-attachments': [] }), []);
    assert.equal(validAttachments({}), undefined);
  });
});
