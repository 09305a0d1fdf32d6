import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { type BridgeConf, decode, unknownKey } from '../../../../../src/network/plugins/main/bridge/conf.ts';

const conf = (keys: JsonObject, args = ''): BridgeConf => decode({ args, config: { name: 'net', ...keys } });

describe('configuration of the bridge plugin', () => {
  it('has the reference defaults', () => {
    assert.deepEqual(conf({}), {
      bridge: 'cni0',
      isGateway: false,
      isDefaultGateway: false,
      forceAddress: false,
      ipMasq: undefined,
      mtu: 0,
      hairpinMode: false,
      promiscMode: false,
      enableDad: false,
      portIsolation: false,
      vlan: { id: 0, trunk: [], preserveDefault: true, filtering: false },
      macSpoofCheck: false,
      disableContainerInterface: false,
      mac: undefined,
      ipam: '',
      dns: undefined,
    });
  });

  it('reads keys without regard to case, as Go does', () => {
    const { bridge, isGateway, ipMasq, ipam } = conf({
      BRIDGE: 'b',
      isgateway: true,
      IPMASQ: true,
      IPAM: { Type: 'x' },
    });
    assert.deepEqual(
      { bridge, isGateway, ipMasq, ipam },
      { bridge: 'b', isGateway: true, ipMasq: { backend: undefined }, ipam: 'x' },
    );
  });

  it('takes isDefaultGateway as isGateway too', () => {
    assert.equal(conf({ isDefaultGateway: true }).isGateway, true);
  });

  it('takes the hardware address of runtimeConfig before args before CNI_ARGS', () => {
    const cni = { args: { cni: { mac: '02:00:00:00:00:02' } } };
    const runtimeConfig = { mac: '02:00:00:00:00:01' };
    const env = 'IgnoreUnknown=1;MAC=02:00:00:00:00:03;K8S_POD_NAME=x';
    assert.equal(conf({ ...cni, runtimeConfig }, env).mac, '02:00:00:00:00:01');
    assert.equal(conf(cni, env).mac, '02:00:00:00:00:02');
    assert.equal(conf({}, env).mac, '02:00:00:00:00:03');
  });

  it('knows the ways to write a hardware address', () => {
    for (const mac of ['C2:11:22:33:44:55', 'c2-11-22-33-44-55', 'c211.2233.4455']) {
      assert.equal(conf({ runtimeConfig: { mac } }).mac, 'c2:11:22:33:44:55');
    }
    for (const mac of ['c2:11:22:33:44', 'c2:11-22:33:44:55', 'c21122334455', 'x']) {
      assert.throws(() => conf({ runtimeConfig: { mac } }), {
        message: `failed to make veth pair: address ${mac}: invalid MAC address`,
      });
    }
  });

  it('refuses what contradicts itself', () => {
    assert.throws(() => conf({ hairpinMode: true, promiscMode: true }), /hairpin mode and promiscuous mode/);
    assert.throws(() => conf({ ipam: { type: 'x' }, disableContainerInterface: true }), /cannot use IPAM/);
    assert.throws(() => conf({ ipMasq: true, ipMasqBackend: 'magic' }), /unknown ipmasq backend "magic"/);
  });

  it('reads VLANs: one, ranges and single ids, each once and in order', () => {
    const vlanTrunk = [{ minID: 7, maxID: 9 }, { id: 3 }, { minID: 8, maxID: 8, id: 20 }];
    assert.deepEqual(conf({ vlan: 5, vlanTrunk, preserveDefaultVlan: false }).vlan, {
      id: 5,
      trunk: [3, 7, 8, 9, 20],
      preserveDefault: false,
      filtering: true,
    });
  });

  it('refuses VLANs that are none, in the words of the reference plugin', () => {
    for (const [vlanTrunk, message] of [
      [[{ id: 0 }], 'incorrect trunk id parameter'],
      [[{ minID: 1, maxID: 4095 }], 'incorrect trunk maxID parameter'],
      [[{ minID: 5, maxID: 4 }], 'minID is greater than maxID in trunk parameter'],
      [[{ maxID: 4 }], 'minID and maxID should be configured simultaneously, minID is missing'],
    ] as const) {
      assert.throws(() => conf({ vlanTrunk: vlanTrunk as unknown as JsonObject[] }), { message });
    }
    assert.throws(() => conf({ vlan: 4095 }), {
      message: 'invalid VLAN ID 4095 (must be between 0 and 4094)',
    });
  });

  it('refuses values of the wrong type, naming the key', () => {
    assert.throws(() => conf({ mtu: '1500' }), { code: 6, message: /mtu/ });
    assert.throws(() => conf({ ipam: 'host-local' }), { code: 6, message: /ipam/ });
  });

  it('leaves keys to the executable that it does not understand', () => {
    assert.equal(
      unknownKey({ type: 'bridge', vlan: 9, vlanTrunk: [{ id: 1 }], macspoofchk: true, portIsolation: true }),
      undefined,
    );
    assert.equal(unknownKey({ VlanTrunk: [{ ids: [1] }] }), 'VlanTrunk[0].ids');
    assert.equal(unknownKey({ uplinkInterface: 'eth0' }), 'uplinkInterface');
    assert.equal(unknownKey({ ipam: { type: 'x', anything: 1 }, runtimeConfig: { ips: [] } }), undefined);
  });
});
