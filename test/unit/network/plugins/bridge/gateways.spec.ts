import assert from 'node:assert/strict';
import type { Result } from '../../../../../src/network/cni/types.ts';
import { planGateways } from '../../../../../src/network/plugins/main/bridge/gateways.ts';

const ipam = (partial: Partial<Result>): Result => ({
  cniVersion: '1.1.0',
  interfaces: [],
  ips: [],
  routes: [],
  dns: {},
  ...partial,
});
const none = { isGateway: false, isDefaultGateway: false };
const gateway = { isGateway: true, isDefaultGateway: false };
const everything = { isGateway: true, isDefaultGateway: true };

describe('gateways of a bridge network', () => {
  it('only points addresses at the container interface without isGateway', () => {
    assert.deepEqual(planGateways(ipam({ ips: [{ address: '10.1.2.3/24' }] }), none), {
      ips: [{ address: '10.1.2.3/24', interface: 2 }],
      routes: [],
      onBridge: [],
    });
  });

  it('takes the first address of the network when IPAM names no gateway', () => {
    const plan = planGateways(
      ipam({ ips: [{ address: '10.1.2.3/22' }, { address: 'fd00::5:1/112' }] }),
      gateway,
    );
    assert.deepEqual(
      plan.ips.map((ip) => ip.gateway),
      ['10.1.0.1', 'fd00::5:1'],
    );
    assert.deepEqual(plan.onBridge, ['10.1.0.1/22', 'fd00::5:1/112']);
  });

  it("puts IPv4 on the bridge before IPv6, in IPAM's order else", () => {
    const ips = ['fd00::2/64', '10.1.0.2/24', 'fd01::2/64', '10.2.0.2/24'].map((address) => ({ address }));
    assert.deepEqual(planGateways(ipam({ ips }), gateway).onBridge, [
      '10.1.0.1/24',
      '10.2.0.1/24',
      'fd00::1/64',
      'fd01::1/64',
    ]);
  });

  it('adds one default route for each family', () => {
    const ips = ['10.1.0.2/24', '10.2.0.2/24', 'fd00::2/64'].map((address) => ({ address }));
    assert.deepEqual(planGateways(ipam({ ips }), everything).routes, [
      { dst: '0.0.0.0/0', gw: '10.1.0.1' },
      { dst: '::/0', gw: 'fd00::1' },
    ]);
  });

  it('keeps a default route through a gateway, and adds to one without', () => {
    const ips = [{ address: '10.1.0.2/24' }];
    const kept = [{ dst: '0.0.0.0/0', gw: '10.1.0.9' }];
    assert.deepEqual(planGateways(ipam({ ips, routes: kept }), everything).routes, kept);
    const open = [{ dst: '0.0.0.0/0' }];
    assert.deepEqual(planGateways(ipam({ ips, routes: open }), everything).routes, [
      ...open,
      { dst: '0.0.0.0/0', gw: '10.1.0.1' },
    ]);
  });

  it('changes nothing of what it was given', () => {
    const given = ipam({ ips: [{ address: '10.1.0.2/24' }] });
    const copy = structuredClone(given);
    planGateways(given, everything);
    assert.deepEqual(given, copy);
  });
});
