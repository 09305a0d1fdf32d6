import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../src/lib/json.ts';
import type { Result } from '../../../../src/network/cni/types.ts';
import { staticIpam } from '../../../../src/network/plugins/ipam/static/index.ts';
import type { PluginArgs } from '../../../../src/network/plugins/plugin.ts';
import { fakeContext, pluginArgs } from './fake-plugin.ts';

const context = fakeContext([]);
const ipam = {
  type: 'static',
  addresses: [{ address: '10.1.0.5/16', gateway: '10.1.0.1' }, { address: 'fd00::5/64' }],
};

function add(config: JsonObject, more: Partial<PluginArgs> = {}): Result {
  return staticIpam.add(pluginArgs(config, more), context);
}

describe('static', () => {
  it('gives what is configured', () => {
    const routes = [{ dst: '10.2.0.0/16', gw: '10.1.0.9' }];
    const dns = { nameservers: ['10.1.0.53'] };
    assert.deepEqual(add({ ipam: { ...ipam, routes, dns } }), {
      cniVersion: '1.1.0',
      interfaces: [],
      ips: [{ address: '10.1.0.5/16', gateway: '10.1.0.1' }, { address: 'fd00::5/64' }],
      routes,
      dns,
    });
  });

  it('adds what CNI_ARGS ask for, with the gateway of its network; what is configured keeps its own', () => {
    const args = 'IP=10.3.0.7/24, fd01::7/64;GATEWAY=10.3.0.1,10.1.0.2';
    assert.deepEqual(add({ ipam }, { args }).ips, [
      { address: '10.1.0.5/16', gateway: '10.1.0.1' },
      { address: 'fd00::5/64' },
      { address: '10.3.0.7/24', gateway: '10.3.0.1' },
      { address: 'fd01::7/64' },
    ]);
  });

  it('lets the runtime take the place of args.cni, and that of all else', () => {
    const args = { cni: { ips: ['10.4.0.1/24'] } };
    assert.deepEqual(add({ ipam, args }).ips, [{ address: '10.4.0.1/24' }]);
    const runtimeConfig = { ips: ['10.5.0.1/24'] };
    assert.deepEqual(add({ ipam, args, runtimeConfig }).ips, [{ address: '10.5.0.1/24' }]);
  });

  it('refuses what is no address, in the words of the reference plugin', () => {
    for (const [config, args, message] of [
      [
        { ipam: { addresses: [{ address: '10.1.0.5' }] } },
        '',
        "the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'",
      ],
      [{ ipam }, 'IP=10.1.0.5', "the 'ip' field is expected to be in CIDR notation, got: '10.1.0.5'"],
      [{ ipam }, 'GATEWAY=x', 'invalid gateway address: x'],
      [
        { ipam, runtimeConfig: { ips: ['x'] } },
        '',
        "an entry in the 'ips' field is NOT in CIDR notation, got: 'x'",
      ],
      [{}, '', "IPAM config missing 'ipam' key"],
      [
        {
          cniVersion: '0.2.0',
          ipam: { addresses: [{ address: '10.1.0.5/24' }, { address: '10.1.0.6/24' }] },
        },
        '',
        'CNI version 0.2.0 does not support more than 1 address per family',
      ],
    ] as const) {
      assert.throws(() => add(config as unknown as JsonObject, { args }), { message });
    }
    assert.throws(() => staticIpam.status?.(pluginArgs({ ipam: { addresses: 'x' } }), context), {
      code: 6,
      message: /ipam.addresses/,
    });
  });

  it('CHECK compares the gateway of each configured address', () => {
    const good = add({ ipam });
    staticIpam.check(pluginArgs({ ipam }, { prevResult: good }), context);
    const bad = { ...good, ips: [{ address: '10.1.0.5/16', gateway: '10.1.0.9' }] };
    assert.throws(() => staticIpam.check(pluginArgs({ ipam }, { prevResult: bad }), context), {
      message: 'static: Failed to match addr 10.1.0.5 on interface eth0',
    });
    assert.throws(() => staticIpam.check(pluginArgs({ ipam }), context), {
      message: 'Required prevResult missing',
    });
  });
});
