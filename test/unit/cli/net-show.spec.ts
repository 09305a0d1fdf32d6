import assert from 'node:assert/strict';
import type { JsonObject } from '../../../src/lib/json.ts';
import { drawNetwork } from '../../../src/cli/net/drawing.ts';

const end = (name: string, more: JsonObject = {}): JsonObject => ({ name, present: true, up: true, ...more });
const pod = (i: number): JsonObject => ({
  pod: `shop/web-${i}`,
  sandboxId: String(i),
  ifName: 'eth0',
  hostInterface: end(`veth${i}`),
  ips: [`10.88.0.${i}`],
});

const NETWORK: JsonObject = {
  name: 'berth',
  cniVersion: '1.0.0',
  plugins: ['bridge', 'portmap'],
  file: '10-berth.conflist',
  dir: '/etc/cni/net.d',
  devices: [
    {
      ...end('cni0', { kind: 'bridge', state: 'down', mtu: 1500, role: 'bridge' }),
      addresses: ['10.88.0.1/16', 'fd00::1/64'],
      missing: [],
    },
  ],
  pods: [
    { ...pod(2), ips: ['10.88.0.2', 'fd00::2'] },
    { ...pod(13), hostInterface: end('veth13', { up: false }) },
    { ...pod(4), hostInterface: {}, ips: [] },
  ],
  hostPorts: [
    {
      port: 'tcp/8080',
      targets: ['10.88.0.2', 'fd00::2'],
      holder: 'pod',
      pod: 'shop/web-2',
      containerId: 'c2',
    },
    { port: 'udp/53', targets: [], holder: 'pod', pod: 'shop/web-13', containerId: 'c13' },
    { port: 'tcp/9', targets: ['10.88.0.9'], holder: 'debt', pod: 'shop/old', containerId: 'c9' },
    { port: 'tcp/10', targets: ['10.88.0.10'], holder: 'foreign', pod: '', containerId: '0123456789abcdef' },
  ],
  pools: [
    {
      subnet: '10.88.0.0/16',
      of: 65_533,
      used: 5,
      pods: 3,
      debts: 1,
      foreign: 1,
      free: 65_528,
      foreignReservations: [{ address: '10.88.0.77', containerId: '0123456789abcdef', ifName: 'eth0' }],
    },
    {
      subnet: 'fd00::/64',
      of: 2 ** 64,
      used: 1,
      pods: 1,
      debts: 0,
      foreign: 0,
      free: 2 ** 64,
      foreignReservations: [],
    },
  ],
  problems: ['veth13 of shop/web-13 is down', 'two\nlines\u001b[2J'],
};

describe('the drawing of a network', () => {
  it('has pods on the bridge by the ends of their pairs, then host ports, addresses and problems', () => {
    assert.equal(
      drawNetwork(NETWORK, false),
      `berth: bridge, portmap (10-berth.conflist)
├─ cni0: bridge, up, mtu 1500, 10.88.0.1/16 fd00::1/64
│  ├─ veth2 ─ eth0     shop/web-2   10.88.0.2 fd00::2
│  ├─ veth13 ✗ ─ eth0  shop/web-13  10.88.0.13
│  └─ eth0             shop/web-4   no address yet
├─ host ports
│  ├─ tcp/8080  → 10.88.0.2 fd00::2  shop/web-2
│  ├─ udp/53    ✗ no rule            shop/web-13
│  ├─ tcp/9     → 10.88.0.9          shop/old (DEL is owed)
│  └─ tcp/10    → 10.88.0.10         container 0123456789abc (foreign)
├─ addresses
│  ├─ 10.88.0.0/16: 5 used of 65533, 65528 free (3 by pods, 1 held back by debts, 1 foreign)
│  │  └─ foreign: 10.88.0.77, container 0123456789abc
│  └─ fd00::/64: 1 used of about 1.8e19, about 1.8e19 free (1 by pods)
└─ problems
   ├─ veth13 of shop/web-13 is down
   └─ two lines\u{FFFD}[2J
`,
    );
  });

  it('ends long lists with how many more there are, and has all with --all', () => {
    const reservations = Array.from({ length: 7 }, (_, i) => ({
      address: `10.88.9.${i}`,
      containerId: 'x',
      ifName: '',
    }));
    const crowded = {
      ...NETWORK,
      pods: Array.from({ length: 45 }, (_, i) => pod(i)),
      problems: Array.from({ length: 12 }, (_, i) => `problem ${i}`),
      pools: [{ subnet: '10.88.0.0/16', of: 9, used: 250, foreign: 230, foreignReservations: reservations }],
    };
    const short = drawNetwork(crowded, false);
    for (const more of ['│  └─ … 25 more\n', '      └─ … 225 more\n', '   └─ … 2 more\n'])
      assert.ok(short.replaceAll('│     └', '      └').includes(more), `${more}${short}`);
    const long = drawNetwork(crowded, true);
    assert.match(long, /web-44/);
    assert.match(long, /problem 11\n/);
    // The daemon names a hundred at most, and says how many there are.
    assert.match(long, /10\.88\.9\.6.*\n.*└─ … 223 more\n/);
  });

  it('is a hundred columns wide at most', () => {
    const wide = { ...NETWORK, problems: [`x${'ö'.repeat(200)}`], file: `${'a'.repeat(120)}.conflist` };
    const lines = drawNetwork(wide, false).split('\n');
    assert.equal(Math.max(...lines.map((line) => Array.from(line).length)), 100);
    assert.ok(lines[0]?.endsWith('a…'));
  });

  it('draws a network without a device, and one that is configured no more', () => {
    assert.equal(
      drawNetwork({ name: 'p2p', plugins: ['ptp'], file: '', pods: [pod(2)] }, false),
      'p2p: ptp (configured no more)\n└─ pods\n   └─ veth2 ─ eth0  shop/web-2  10.88.0.2\n',
    );
  });

  it('says what is not there or down, and where a good version of a bad file is in use', () => {
    const drawn = drawNetwork(
      {
        name: 'net',
        plugins: ['macvlan'],
        file: '10.conf',
        staleSince: '2026-01-02T03:04:05.000Z',
        devices: [
          { name: 'eth7', present: false },
          { name: 'eth8', present: true, up: false, kind: '', role: 'parent', mtu: 9000, addresses: [] },
          {
            name: 'eth9',
            present: true,
            up: true,
            state: 'lowerlayerdown',
            role: 'parent',
            mtu: 1,
            addresses: [],
          },
        ],
      },
      false,
    );
    assert.equal(
      drawn,
      `net: macvlan (10.conf, last good version)
├─ eth7: not there
├─ eth8: parent, down, mtu 9000, no address
└─ eth9: parent, up, lowerlayerdown, mtu 1, no address
`,
    );
  });
});
