import assert from 'node:assert/strict';
import type { AttachedPod, ShownNetwork } from '../../../src/network/overview.ts';
import { problemsOf } from '../../../src/network/overview-problems.ts';
import type { DeviceFacts, LinkFacts, PoolFacts } from '../../../src/network/plugins/facts.ts';

const link = (name: string, more: Partial<LinkFacts> = {}): LinkFacts => ({
  name,
  present: true,
  kind: 'veth',
  up: true,
  state: 'up',
  mtu: 1500,
  master: 'cni0',
  ...more,
});
const device = (more: Partial<DeviceFacts> = {}): DeviceFacts => ({
  ...link('cni0', { master: '', kind: 'bridge' }),
  role: 'bridge',
  addresses: [],
  missing: [],
  ...more,
});
const pod = (name: string, hostInterface = link(`veth-${name}`)): AttachedPod => ({
  pod: `ns/${name}`,
  sandboxId: name,
  ifName: 'eth0',
  hostInterface,
  ips: [],
});
const problems = (more: Partial<ShownNetwork>): string[] =>
  problemsOf({
    name: 'net',
    cniVersion: '1.0.0',
    plugins: ['bridge'],
    file: '10.conf',
    dir: '/etc/cni/net.d',
    devices: [device()],
    pods: [],
    hostPorts: [],
    pools: [],
    debts: 0,
    orphans: 0,
    ...more,
  });

describe('problems of a network', () => {
  it('are none when all is well, a bridge without pods or without carrier included', () => {
    assert.deepEqual(problems({ pods: [pod('a')] }), []);
    assert.deepEqual(problems({ devices: [device({ present: false, up: false })] }), []);
    assert.deepEqual(problems({ devices: [device({ state: 'down' })] }), []);
  });

  it('name three pods of many', () => {
    const pods = ['a', 'b', 'c', 'd', 'e'].map((name) => pod(name));
    const [first] = problems({ pods, devices: [device({ present: false })] });
    assert.equal(first, 'cni0 is missing, but pods are on it: ns/a, ns/b, ns/c and 2 more');
  });

  it('are a parent that is missing, down or without carrier, whether or not pods are on it', () => {
    const parent = (more: Partial<DeviceFacts>) => ({
      devices: [device({ ...more, role: 'parent', name: 'eth1' })],
    });
    assert.deepEqual(problems(parent({ present: false })), ['eth1 is missing']);
    assert.deepEqual(problems(parent({ up: false, state: 'down' })), ['eth1 is down']);
    assert.deepEqual(problems(parent({ state: 'lowerlayerdown' })), ['eth1 has no carrier']);
  });

  it("are ends of pairs that are gone, down or elsewhere; without a bridge they are nobody's port", () => {
    const ends = [
      pod('a', link('va', { present: false })),
      pod('b', link('vb', { up: false })),
      pod('c', link('vc', { master: 'other0' })),
    ];
    const said = ['va of ns/a is missing', 'vb of ns/b is down', 'vc of ns/c is no port of cni0'];
    assert.deepEqual(problems({ pods: ends }), said);
    assert.deepEqual(problems({ pods: ends, devices: [] }), said.slice(0, 2));
  });

  it('are full ranges, host ports without a rule, debts and orphans', () => {
    const pool = { subnet: '10.0.0.0/24', free: 0 } as PoolFacts;
    const port = { port: 'tcp/80', targets: [], holder: 'pod', pod: 'ns/a', containerId: 'a' } as const;
    assert.deepEqual(
      problems({
        pools: [pool, { ...pool, subnet: '10.1.0.0/24', free: 1 }],
        hostPorts: [port, { ...port, targets: ['10.0.0.1'] }, { ...port, holder: 'foreign' }],
        debts: 1,
        orphans: 2,
      }),
      [
        '10.0.0.0/24 has no free address',
        'host port tcp/80 of ns/a has no rule',
        '1 DEL is owed: see berth net debts',
        '2 attachments are left of pods that are gone: berth net gc collects them',
      ],
    );
  });
});
