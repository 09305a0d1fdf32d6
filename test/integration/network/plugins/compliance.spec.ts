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
    isLater: true,
    plugins: [{ type: 'tap', mtu: 1400, mac: '02:00:00:00:66:04', owner: 1000, multiQueue: true, ipam: v4 }],
  },
  {
    // Of a route's other attributes the reference of Debian loses mtu and advmss, and its CHECK finds none in another table.
    name: 'bridge, a route with a metric',
    isLater: true,
    plugins: [
      {
        ...bridge,
        isDefaultGateway: true,
        ipam: { ...v4, routes: [{ dst: '10.67.0.0/16', gw: '10.66.0.9', priority: 50 }] },
      },
    ],
  },
  { name: 'bridge, isolated ports', isLater: true, plugins: [{ ...bridge, portIsolation: true }] },
  {
    // CHECK of the reference looks for an IPAM plugin.
    name: 'bridge, without an interface in the container',
    cniVersion: '0.3.1',
    isLater: true,
    plugins: [{ type: 'bridge', bridge: 'br66', disableContainerInterface: true }],
  },
  {
    name: 'bridge, masquerading by nftables',
    isLater: true,
    needsOurDel: true,
    plugins: [{ ...bridge, ipMasq: true, ipMasqBackend: 'nftables', ipam: dual }],
  },
  {
    name: 'ptp, masquerading by nftables',
    isLater: true,
    needsOurDel: true,
    plugins: [{ type: 'ptp', ipMasq: true, ipMasqBackend: 'nftables', ipam: v4 }],
  },
  {
    name: 'portmap, by nftables',
    isLater: true,
    plugins: [
      { ...bridge, ipam: dual },
      {
        type: 'portmap',
        backend: 'nftables',
        runtimeConfig: {
          portMappings: [
            { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
            { hostPort: 8053, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
          ],
        },
      },
    ],
  },
  {
    name: 'bandwidth, of some subnets',
    isLater: true,
    plugins: [
      bridge,
      {
        type: 'bandwidth',
        ingressRate: 8_000_000,
        ingressBurst: 800_000,
        egressRate: 16_000_000,
        egressBurst: 1_600_000,
        unshapedSubnets: ['10.0.0.0/8', 'fd00::/8'],
      },
    ],
  },
  {
    name: 'bandwidth, of all but some subnets',
    isLater: true,
    plugins: [
      bridge,
      { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 800_000, shapedSubnets: ['10.66.0.0/16'] },
    ],
  },
  {
    name: 'firewall, bridges apart from all others',
    isLater: true,
    plugins: [bridge, { type: 'firewall', ingressPolicy: 'isolated' }],
  },
  {
    name: 'tuning, of the queue',
    isLater: true,
    plugins: [bridge, { type: 'tuning', txQLen: 2000, dataDir: 'DIR/data' }],
  },
  {
    name: 'sbr, with a table',
    isLater: true,
    cniVersion: '0.3.1',
    plugins: [bridge, { type: 'sbr', table: 1066 }],
  },
  {
    name: 'macvlan, with a queue for broadcasts',
    isLater: true,
    prepare: uplink,
    plugins: [{ type: 'macvlan', master: 'up66', bcqueuelen: 2000, ipam: dual }],
  },
];

describe('compliance of plugins in three forms: in-process, as our executable, and the reference executable', () => {
  complianceSuite(cases, allForms);
});
