import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { eventually, Scratch } from '../../../helpers/fixture.ts';
import { difference, linesOf, networkState } from '../../../helpers/network-state.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell, type Form } from '../../../helpers/plugin-process.ts';

const NETWORK = '10.80.0.0/16';

/** A node of a cluster, as flanneld leaves it, and one pod. */
interface ClusterNode {
  readonly host: TestNode;
  readonly pod: TestNode;
  readonly dir: string;
  readonly subnet: string;
}

describe('chains of plugins', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  async function clusterNode(number: number, mtu = 1450): Promise<ClusterNode> {
    const host = cleanup.use(await TestNode.create());
    const pod = cleanup.use(await TestNode.create());
    const { path: dir } = cleanup.use(await Scratch.create());
    mkdirSync(join(dir, 'tuning'));
    const subnet = `10.80.${number}.0/24`;
    const lines = [
      `FLANNEL_NETWORK=${NETWORK}`,
      `FLANNEL_SUBNET=10.80.${number}.1/24`,
      'FLANNEL_IPV6_NETWORK=fd80::/48',
      `FLANNEL_IPV6_SUBNET=fd80:0:0:${number}::1/64`,
      `FLANNEL_MTU=${mtu}`,
      'FLANNEL_IPMASQ=true',
    ];
    writeFileSync(join(dir, 'subnet.env'), `${lines.join('\n')}\n`);
    return { host, pod, dir, subnet };
  }

  function plugins({ dir }: ClusterNode): JsonObject[] {
    return [
      {
        type: 'flannel',
        subnetFile: join(dir, 'subnet.env'),
        dataDir: join(dir, 'flannel'),
        ipam: { dataDir: join(dir, 'ipam') },
        delegate: { isDefaultGateway: true, hairpinMode: true },
      },
      {
        type: 'portmap',
        backend: 'iptables',
        runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] },
      },
      {
        type: 'bandwidth',
        ingressRate: 80_000_000,
        ingressBurst: 8_000_000,
        egressRate: 80_000_000,
        egressBurst: 8_000_000,
      },
      { type: 'firewall', backend: 'iptables' },
      {
        type: 'tuning',
        mtu: 1400,
        sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
        dataDir: join(dir, 'tuning'),
      },
    ];
  }

  async function run(
    on: ClusterNode,
    verb: 'ADD' | 'CHECK' | 'DEL',
    list: readonly JsonObject[],
    previous?: JsonObject,
    form: Form = 'in-process',
  ): Promise<JsonObject | undefined> {
    let result = previous;
    for (const plugin of verb === 'DEL' ? list.toReversed() : list) {
      const prevResult = result === undefined ? {} : { prevResult: result };
      const config = { cniVersion: '1.0.0', name: 'cbr0', ...plugin, ...prevResult };
      const call = { verb, type: plugin['type'] as string, config, netns: on.pod.path };
      const output = await callWell(on.host, form, call);
      if (verb === 'ADD') result = output;
    }
    return result;
  }

  it('flannel, bridge, host-local, portmap, bandwidth, firewall and tuning, dual stack: up, checked, down without a trace', async function () {
    this.timeout(120_000);
    const node = await clusterNode(1);
    const state = async (): Promise<string[]> => linesOf(await networkState(node.host));
    // The bridge, forwarding and chains that all containers share stay: so they are there beforehand.
    const first = await run(node, 'ADD', plugins(node));
    // Only when it is known to be unique is there a route to the bridge's IPv6 address, which then stays.
    await eventually('the address is unique', async () =>
      (await node.host.run('ip', '-6', 'addr', 'show', 'dev', 'cni0', 'tentative')) === '' ? true : undefined,
    );
    await run(node, 'DEL', plugins(node), first);
    // Without ports the bridge has no carrier; the kernel takes a moment to say so.
    await eventually('the bridge is down', async () =>
      /^cni0 +DOWN/m.test(await node.host.run('ip', '-br', 'link')) ? true : undefined,
    );
    const before = await state();
    const result = await run(node, 'ADD', plugins(node));
    assert.match(JSON.stringify(result), /10\.80\.1\.3\/24.*fd80:0:0:1::3\/64/);
    const eth0 = JSON.parse(await node.pod.run('ip', '-j', 'link', 'show', 'eth0')) as JsonObject[];
    assert.equal(eth0[0]?.['mtu'], 1400);
    // flannel's CHECK is none; each of the others finds what it made.
    await run(node, 'CHECK', plugins(node), result);
    await run(node, 'DEL', plugins(node), result);
    const different = async (): Promise<string[]> => {
      const now = await state();
      return [...difference(now, before), ...difference(before, now)];
    };
    let last: string[] = [];
    await eventually('the node is as before', async () => {
      last = await different();
      return last.length === 0 ? true : undefined;
    }).catch((error: unknown) => assert.deepEqual(last, [], String(error)));
  });

  it('leaves each pod its own MTU, ports and limits when another pod of the chain goes', async function () {
    this.timeout(120_000);
    const node = await clusterNode(1);
    const other: ClusterNode = { ...node, pod: cleanup.use(await TestNode.create()) };
    const list = plugins(node).filter(({ type }) => type !== 'portmap');
    const first = await run(node, 'ADD', list);
    const config = { cniVersion: '1.0.0', name: 'cbr0', ...(list[0] ?? {}) };
    await callWell(node.host, 'in-process', {
      verb: 'ADD',
      type: 'flannel',
      containerId: 'c2',
      config,
      netns: other.pod.path,
    });
    await callWell(node.host, 'in-process', {
      verb: 'DEL',
      type: 'flannel',
      containerId: 'c2',
      config,
      netns: other.pod.path,
    });
    await run(node, 'CHECK', list, first);
  });

  /** vxlan link, neighbours and routes to the other node, as flanneld makes them. */
  async function joinCluster(node: ClusterNode, own: number, peer: number, mac: (number: number) => string) {
    const { host } = node;
    const sh = (line: string): Promise<string> => host.run('sh', '-c', line);
    await sh(
      `ip link add flannel.1 address ${mac(own)} mtu 1450 type vxlan id 1 dev wire local 192.0.2.${own} dstport 8472 nolearning`,
    );
    await sh(`ip address add 10.80.${own}.0/32 dev flannel.1 && ip link set flannel.1 up`);
    await sh(`ip neigh add 10.80.${peer}.0 lladdr ${mac(peer)} dev flannel.1 nud permanent`);
    await sh(`bridge fdb append ${mac(peer)} dev flannel.1 dst 192.0.2.${peer}`);
    await sh(`ip route add 10.80.${peer}.0/24 via 10.80.${peer}.0 dev flannel.1 onlink`);
  }

  it('pods on two nodes reach each other over VXLAN by their own addresses, with the right MTU', async function () {
    this.timeout(120_000);
    const [one, two] = [await clusterNode(1), await clusterNode(2)];
    await one.host.run(
      'ip',
      'link',
      'add',
      'wire',
      'type',
      'veth',
      'peer',
      'name',
      'wire',
      'netns',
      two.host.name,
    );
    const mac = (number: number): string => `02:00:00:00:80:0${number}`;
    for (const [node, own, peer] of [
      [one, 1, 2],
      [two, 2, 1],
    ] as const) {
      await node.host.run('ip', 'address', 'add', `192.0.2.${own}/24`, 'dev', 'wire');
      await node.host.run('ip', 'link', 'set', 'wire', 'up');
      await joinCluster(node, own, peer, mac);
      await run(node, 'ADD', plugins(node).slice(0, 1));
    }
    await eventually('a pod reaches the other one', async () =>
      one.pod.run('ping', '-c1', '-W1', '10.80.2.2').catch(() => undefined),
    );
    // As much as fits into a packet of the inner network, and not a byte more.
    await one.pod.run('ping', '-c1', '-W2', '-M', 'do', '-s', String(1450 - 28), '10.80.2.2');
    await assert.rejects(one.pod.run('ping', '-c1', '-W1', '-M', 'do', '-s', String(1450 - 27), '10.80.2.2'));
    // The other pod sees the address of the pod, not of its node: it has a route to nothing else.
    await two.pod.run('ip', 'route', 'del', 'default');
    await two.pod.run('ip', 'route', 'replace', '10.80.1.2/32', 'via', '10.80.2.1');
    await two.pod.run('ip', 'route', 'flush', 'exact', NETWORK);
    await one.pod.run('ping', '-c1', '-W2', '10.80.2.2');
    for (const node of [one, two]) await run(node, 'DEL', plugins(node).slice(0, 1));
    assert.doesNotMatch(await one.host.run('ip', '-br', 'link'), /veth/);
  });
});
