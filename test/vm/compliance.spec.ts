import { bridge, type ComplianceCase, dual, uplink, v4 } from '../helpers/compliance/cases.ts';
import { complianceSuite, inProcess } from '../helpers/compliance/suite.ts';

const vlan = { type: 'vlan', master: 'up66', vlanId: 66, mtu: 1400, ipam: v4 };
const l2 = { type: 'bridge', bridge: 'br66' };

/** Plugins and keys that need what the kernel of the tests' usual machine lacks. */
const cases: readonly ComplianceCase[] = [
  { name: 'vlan', prepare: uplink, plugins: [vlan] },
  { name: 'vlan, dual stack', prepare: uplink, plugins: [{ ...vlan, vlanId: 67, ipam: dual }] },
  { name: 'ipvlan', prepare: uplink, plugins: [{ type: 'ipvlan', master: 'up66', ipam: v4 }] },
  {
    // Without a master's name the reference plugin cannot CHECK.
    name: 'ipvlan, in another mode and of the default route',
    cniVersion: '0.3.1',
    prepare: [...uplink, 'ip address add 10.65.0.2/24 dev up66', 'ip route add default via 10.65.0.1'],
    plugins: [{ type: 'ipvlan', mode: 'l3s', mtu: 1400, ipam: { ...dual, routes: [] } }],
  },
  {
    name: 'vrf',
    plugins: [
      { ...bridge, ipam: { ...v4, routes: [] } },
      { type: 'vrf', vrfname: 'blue' },
    ],
    cniVersion: '0.3.1',
  },
  {
    name: 'vrf, with a table and dual stack',
    cniVersion: '0.3.1',
    plugins: [
      { ...bridge, ipam: { ...dual, routes: [] } },
      { type: 'vrf', vrfname: 'blue', table: 1066 },
    ],
  },
  { name: 'dummy', isLater: true, plugins: [{ type: 'dummy', ipam: dual }] },
  // Nor without IPAM. The reference of Debian's later suite takes ports out of VLAN 1 unless it is told not to, other than its documents say.
  { name: 'bridge', cniVersion: '0.3.1', plugins: [{ ...l2, vlan: 66, preserveDefaultVlan: true }] },
  {
    name: 'bridge, gateway in a VLAN',
    plugins: [{ ...bridge, vlan: 66, preserveDefaultVlan: true, ipam: dual }],
  },
  { name: 'bridge, spoof check', plugins: [{ ...bridge, macspoofchk: true }] },
  {
    name: 'bridge, trunk',
    cniVersion: '0.3.1',
    isLater: true,
    plugins: [{ ...l2, vlanTrunk: [{ minID: 100, maxID: 103 }, { id: 7 }], preserveDefaultVlan: false }],
  },
  { name: 'bridge, isolated ports', isLater: true, plugins: [{ ...bridge, portIsolation: true }] },
];

describe("compliance of plugins on Debian's kernel", () => {
  complianceSuite(cases, inProcess);
});
