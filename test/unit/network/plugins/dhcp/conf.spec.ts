import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import {
  clientOptions,
  routePriority,
  socketPath,
  unknownKey,
} from '../../../../../src/network/plugins/ipam/dhcp/conf.ts';

function options(ipam: JsonObject, args = '', containerId = 'c1'): Record<string, string> {
  const config = { name: 'lan', ipam };
  const all = clientOptions({ config, args, containerId, ifName: 'eth0' });
  return Object.fromEntries([...all].map(([code, value]) => [code, value.toString('latin1')]));
}

describe('configuration of dhcp', () => {
  it('the client is container, network and interface, cut at 254 bytes', () => {
    assert.deepEqual(options({}), { 61: '\0c1/lan/eth0', 55: '\x03\x01' });
    assert.equal(options({}, '', 'x'.repeat(300))[61], `\0${'x'.repeat(254)}`);
  });

  it('requested options come before the default ones, which may be left out', () => {
    const request = [{ option: '121' }, { option: 'subnet-mask' }, { option: 'host-name' }];
    assert.equal(options({ request })[55], '\x79\x01\x0c\x03');
    assert.equal(options({ request: [{ skipDefault: true, option: 'routers' }] })[55], '\x03');
    assert.equal(options({ request: [{ skipDefault: true }] })[55], undefined);
  });

  it('provided options have a value, or that of an argument when there is one', () => {
    const provide = [
      { option: 'host-name', value: 'pod', fromArg: 'K8S_POD_NAME' },
      { option: 'vendor-class-identifier', fromArg: 'VENDOR' },
      { option: '77', value: 'class' },
      { option: '12', fromArg: 'ABSENT' },
    ];
    const all = options({ provide }, 'IgnoreUnknown=1;K8S_POD_NAME=web=1;NONE');
    assert.deepEqual([all[12], all[60], all[77]], ['web=1', undefined, 'class']);
    assert.equal(options({ provide })[12], 'pod');
    assert.equal(options({ provide: [{ option: 'dhcp-client-identifier', value: 'me' }] })[61], 'me');
  });

  it('what makes no sense is named', () => {
    const bad: [JsonObject, RegExp][] = [
      [{ request: [{ option: 'dns' }] }, /^Can not parse option "dns"/],
      [{ request: [{ option: '256' }] }, /^Can not parse option "256"/],
      [{ request: [{ option: 3 }] }, /^invalid ipam\.request\[0\]\.option: must be a string/],
      [{ request: ['routers'] }, /^invalid ipam\.request\[0\]: must be an object/],
      [{ request: [{ skipDefault: 'yes' }] }, /^invalid ipam\.request\[0\]\.skipDefault/],
      [{ provide: { option: '12' } }, /^invalid ipam\.provide: must be an array/],
      [{ provide: [{ value: 'x' }] }, /^Can not parse option ""/],
      [{ provide: [{ option: '53', value: 'x' }] }, /^invalid ipam\.provide\[0\]\.option: 53/],
      [{ provide: [{ option: '12', value: 'x'.repeat(256) }] }, /^value too long for option "12"/],
      [
        { provide: [1, 2, 3, 4].map((i) => ({ option: `${200 + i}`, value: 'x'.repeat(250) })) },
        /^invalid ipam\.provide: 1000 bytes/,
      ],
    ];
    for (const [ipam, message] of bad) assert.throws(() => options(ipam), { message });
  });

  it('only keys of ipam are looked at, in any case', () => {
    const ipam = {
      Type: 'dhcp',
      daemonSocketPath: '/x',
      Request: [{ skipDefault: true }],
      provide: [],
      priority: 5,
    };
    assert.equal(unknownKey({ bridge: 'b', ipam }), undefined);
    assert.equal(unknownKey({ ipam: { type: 'dhcp', metric: 5 } }), 'ipam.metric');
    assert.equal(unknownKey({ ipam: { provide: [{ option: '12', text: '' }] } }), 'ipam.provide[0].text');
  });

  it('a metric for routes is one that the kernel can have', () => {
    assert.equal(routePriority({ ipam: {} }), 0);
    assert.equal(routePriority({ ipam: { priority: 300 } }), 300);
    for (const priority of [-1, 2 ** 32, '300', 1.5])
      assert.throws(() => routePriority({ ipam: { priority } }), { message: /^invalid ipam\.priority: / });
  });

  it('the socket of the daemon has a default', () => {
    assert.equal(socketPath({ ipam: {} }), '/run/berth/dhcp.sock');
    assert.equal(socketPath({ ipam: { daemonSocketPath: '/x.sock' } }), '/x.sock');
  });
});
