import { bridge, type ComplianceCase, dual, fixed, uplink, v4 } from '../../../helpers/compliance/cases.ts';
import { allForms, complianceSuite } from '../../../helpers/compliance/suite.ts';

const device = ['ip link add up66 type ifb', 'ip link set up66 up'];

const cases: readonly ComplianceCase[] = [
  { name: 'static', plugins: [{ ...bridge, ipam: fixed }] },
  {
    name: 'static, called by itself',
    plugins: [
      { type: 'static', ipam: { ...fixed, dns: { nameservers: ['10.66.0.53'], search: ['example.test'] } } },
    ],
  },
  {
    name: 'static, asked for by arguments',
    plugins: [{ ...bridge, ipam: { type: 'static' } }],
    args: 'IgnoreUnknown=1;IP=10.66.0.7/24,fd66::7/64;GATEWAY=10.66.0.1',
  },
  {
    name: 'static, in an old version and asked for by the runtime',
    cniVersion: '0.3.1',
    plugins: [{ ...bridge, ipam: fixed, runtimeConfig: { ips: ['10.66.0.8/24'] } }],
  },
  { name: 'ptp', plugins: [{ type: 'ptp', ipam: v4 }] },
  {
    name: 'ptp, dual stack with masquerading',
    plugins: [{ type: 'ptp', ipMasq: true, mtu: 1400, dns: { nameservers: ['10.66.0.53'] }, ipam: dual }],
  },
  { name: 'ptp, in the oldest version', cniVersion: '0.2.0', plugins: [{ type: 'ptp', ipam: v4 }] },
  {
    name: 'bandwidth',
    plugins: [
      bridge,
      {
        type: 'bandwidth',
        ingressRate: 8_000_000,
        ingressBurst: 800_000,
        egressRate: 16_000_000,
        egressBurst: 1_600_000,
      },
    ],
  },
  {
    name: 'bandwidth, from the runtime and one way only',
    plugins: [
      bridge,
      {
        type: 'bandwidth',
        runtimeConfig: { bandwidth: { IngressRate: 1_000_001, IngressBurst: 80_000_007 } },
      },
    ],
  },
  {
    name: 'bandwidth, with the burst that Kubernetes’ runtimes ask for',
    plugins: [
      bridge,
      {
        type: 'bandwidth',
        runtimeConfig: { bandwidth: { ingressRate: 10_000_000, ingressBurst: 4_294_967_295 } },
      },
    ],
  },
  {
    name: 'bandwidth, without limits',
    // CHECK of the reference panics.
    cniVersion: '0.3.1',
    plugins: [bridge, { type: 'bandwidth' }],
  },
  {
    name: 'firewall',
    plugins: [
      { ...bridge, ipam: dual },
      { type: 'firewall', backend: 'iptables' },
    ],
  },
  {
    name: 'firewall, bridges apart and a chain of the administrator',
    plugins: [bridge, { type: 'firewall', ingressPolicy: 'same-bridge', iptablesAdminChainName: 'MY-ADMIN' }],
  },
  {
    name: 'tuning',
    plugins: [
      bridge,
      {
        type: 'tuning',
        sysctl: { 'net/ipv4/conf/eth0/arp_filter': '1', 'net.core.somaxconn': '500' },
        mac: '02:00:00:00:66:01',
        mtu: 1400,
        promisc: true,
        allmulti: true,
        dataDir: 'DIR/data',
      },
    ],
  },
  {
    name: 'tuning, asked for by arguments',
    args: 'IgnoreUnknown=1;MAC=02:00:00:00:66:02',
    cniVersion: '0.4.0',
    plugins: [
      { type: 'ptp', ipam: v4 },
      { type: 'tuning', dataDir: 'DIR/data' },
    ],
  },
  // What sbr does to the routes no CHECK of a main plugin of the reference understands: hence a version without CHECK.
  { name: 'sbr', cniVersion: '0.3.1', plugins: [bridge, { type: 'sbr' }] },
  {
    name: 'sbr, dual stack',
    cniVersion: '0.3.1',
    plugins: [{ ...bridge, isDefaultGateway: true, ipam: { ...dual, routes: [] } }, { type: 'sbr' }],
  },
  { name: 'macvlan', prepare: uplink, plugins: [{ type: 'macvlan', master: 'up66', ipam: v4 }] },
  {
    name: 'macvlan, of the default route, with a mode, a hardware address and no addresses',
    prepare: [...uplink, 'ip address add 10.65.0.2/24 dev up66', 'ip route add default via 10.65.0.1'],
    args: 'IgnoreUnknown=1;MAC=02:00:00:00:66:03',
    plugins: [{ type: 'macvlan', mode: 'private', mtu: 1400 }],
  },
  {
    name: 'host-device',
    prepare: device,
    plugins: [{ type: 'host-device', device: 'up66', ipam: dual }],
  },
  {
    name: 'host-device, without addresses',
    prepare: device,
    plugins: [{ type: 'host-device', device: 'up66' }],
  },
  {
    name: 'tap',
    hasReference: false,
    plugins: [{ type: 'tap', mtu: 1400, mac: '02:00:00:00:66:04', owner: 1000, multiQueue: true, ipam: v4 }],
  },
];

describe('compliance of plugins in three forms: in-process, as our executable, and the reference executable', () => {
  complianceSuite(cases, allForms);
});
