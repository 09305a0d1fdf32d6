import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { type BridgeConf, decode, unknownKey } from '../../../../../src/network/plugins/main/bridge/conf.ts';

const conf = (keys: JsonObject, args = ''): BridgeConf =>
  decode({
    containerId: 'c',
    netns: '/n',
    ifName: 'eth0',
    args,
    path: [],
    config: { name: 'net', ...keys },
    prevResult: undefined,
  });

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

  it('refuses values of the wrong type, naming the key', () => {
    assert.throws(() => conf({ mtu: '1500' }), { code: 6, message: /mtu/ });
    assert.throws(() => conf({ ipam: 'host-local' }), { code: 6, message: /ipam/ });
  });

  it('leaves keys to the executable that it does not understand', () => {
    assert.equal(
      unknownKey({ type: 'bridge', vlan: 0, vlanTrunk: [], macspoofchk: false, preserveDefaultVlan: true }),
      undefined,
    );
    assert.equal(unknownKey({ vlan: 100 }), 'vlan');
    assert.equal(unknownKey({ VlanTrunk: [{ id: 1 }] }), 'vlanTrunk');
    assert.equal(unknownKey({ macspoofchk: true }), 'macspoofchk');
    assert.equal(unknownKey({ uplinkInterface: 'eth0' }), 'uplinkInterface');
    assert.equal(unknownKey({ ipam: { type: 'x', anything: 1 }, runtimeConfig: { ips: [] } }), undefined);
  });
});
