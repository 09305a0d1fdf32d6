import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withNetns } from '../../../../src/kernel/thread-namespaces.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import {
  type DescribeJob,
  describeNetwork,
  type NetworkFacts,
} from '../../../../src/network/plugins/describe.ts';
import { createRegistry } from '../../../../src/network/plugins/registry.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell } from '../../../helpers/plugin-process.ts';

describe('what plugins tell of a network', () => {
  let cleanup: Cleanup;
  let host: TestNode;
  let pod: TestNode;
  let dir: string;

  beforeEach(async () => {
    cleanup = new Cleanup();
    host = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    dir = cleanup.use(await Scratch.create()).path;
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const base = { cniVersion: '1.0.0', name: 'net' };
  const hostLocal = (subnet: string) => ({ type: 'host-local', dataDir: dir, ranges: [[{ subnet }]] });
  const describeIt = (plugins: JsonObject[], more: Partial<DescribeJob> = {}): NetworkFacts =>
    withNetns(host.path, () =>
      describeNetwork(createRegistry(), {
        plugins: plugins.map((plugin) => ({ ...base, ...plugin })),
        holders: { pods: [], debts: [], withheld: [] },
        links: [],
        ...more,
      }),
    );
  const add = (plugin: JsonObject, containerId = 'c1') =>
    callWell(host, 'in-process', {
      verb: 'ADD',
      type: plugin['type'] as string,
      netns: pod.path,
      containerId,
      config: { ...base, ...plugin },
    });

  it("flannel's is that of its delegate with the node's subnet, or why there is none", async () => {
    const subnetFile = join(dir, 'subnet.env');
    const plugin = { type: 'flannel', subnetFile, dataDir: join(dir, 'flannel'), ipam: { dataDir: dir } };
    const [problem = ''] = describeIt([plugin]).problems;
    assert.match(problem, /^plugin flannel cannot be looked at: failed to load flannel 'subnet\.env' file/);
    const env =
      'FLANNEL_NETWORK=10.66.0.0/16\nFLANNEL_SUBNET=10.66.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';
    writeFileSync(subnetFile, env);
    await add(plugin);
    const facts = describeIt([plugin], { holders: { pods: ['c1 eth0'], debts: [], withheld: [] } });
    assert.deepEqual(
      facts.devices.map(({ name, up, mtu, addresses, missing }) => [name, up, mtu, addresses, missing]),
      [['cni0', true, 1450, ['10.66.3.1/24'], []]],
    );
    assert.deepEqual(
      facts.pools.map(({ subnet, pods, used }) => [subnet, pods, used]),
      [['10.66.3.0/24', 1, 1]],
    );
    assert.deepEqual(facts.problems, []);
  });

  it('names addresses that pods and debts hold, by file and by hint, and counts each once', () => {
    mkdirSync(join(dir, 'net'));
    const files = {
      2: 'p\r\neth0',
      3: 'p\r\neth1',
      4: 'd\r\neth0',
      5: 'old',
      6: 's\r\neth0',
      1: 'gateway\r\neth0',
    };
    for (const [last, owner] of Object.entries(files))
      writeFileSync(join(dir, 'net', `10.0.0.${last}`), owner);
    const holders = {
      pods: ['p eth0', 'old eth0'],
      debts: ['d eth0'],
      withheld: ['10.0.0.4', '10.0.0.9', '10.9.9.9', 'fd00::1'],
    };
    const ipam = hostLocal('10.0.0.0/28');
    // An executable of somebody else: its addresses are host-local's all the same.
    const [pool] = describeIt([{ type: 'acme', ipam }], { holders }).pools;
    assert.deepEqual(pool, {
      set: 0,
      subnet: '10.0.0.0/28',
      from: '10.0.0.1',
      to: '10.0.0.14',
      gateway: '10.0.0.1',
      of: 13,
      used: 5,
      pods: 2,
      debts: 2,
      foreign: 2,
      free: 7,
      foreignReservations: [
        { address: '10.0.0.3', containerId: 'p', ifName: 'eth1' },
        { address: '10.0.0.6', containerId: 's', ifName: 'eth0' },
      ],
    });
  });

  it('has host ports of both backends with their owners, and of strangers those that lead into the network', async () => {
    const bridge = { type: 'bridge', bridge: 'br66', isGateway: true, ipam: hostLocal('10.66.0.0/24') };
    const prevResult = (await add(bridge)) ?? {};
    const portmap = (backend: string, hostPort: number, more: JsonObject = {}) => ({
      type: 'portmap',
      backend,
      prevResult,
      runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp', ...more }] },
    });
    await add(portmap('iptables', 8080, { hostIP: '192.0.2.1' }));
    await add(portmap('nftables', 8081));
    await host.run(
      ...['nft', 'add', 'rule', 'ip', 'cni_hostport', 'hostports', 'udp', 'dport', '53', 'dnat', 'to'],
      ...['10.66.0.9:53', 'comment', '"stranger"'],
    );
    await host.run(
      ...['nft', 'add', 'rule', 'ip', 'cni_hostport', 'hostports', 'tcp', 'dport', '54', 'dnat', 'to'],
      ...['10.99.0.9:53', 'comment', '"elsewhere"'],
    );
    const holders = { pods: [], debts: ['c1 eth0'], withheld: [] };
    const { hostPorts } = describeIt([bridge, { type: 'portmap' }], { holders });
    assert.deepEqual(
      hostPorts.map(({ port, target, holder, containerId }) => [port, target, holder, containerId]),
      [
        ['tcp/192.0.2.1/8080', '10.66.0.2', 'debt', 'c1'],
        ['tcp/8081', '10.66.0.2', 'debt', 'c1'],
        ['udp/53', '10.66.0.9', 'foreign', 'stranger'],
      ],
    );
  });

  it('has the links that are asked for, with the bridge that each is a port of, and those that are gone', async () => {
    const bridge = { type: 'bridge', bridge: 'br66' };
    const [, port] = ((await add(bridge))?.['interfaces'] ?? []) as JsonObject[];
    const name = port?.['name'] as string;
    const { links, devices } = describeIt([bridge], { links: [name, 'gone0'] });
    assert.deepEqual(
      links.map((link) => [link.name, link.present, link.up, link.master]),
      [
        [name, true, true, 'br66'],
        ['gone0', false, false, ''],
      ],
    );
    assert.deepEqual(
      devices.map(({ name: device, addresses }) => [device, addresses]),
      [['br66', []]],
    );
  });

  it('has the parent of plugins that stand on one: configured, or that of the default route', async () => {
    await host.run('ip', 'link', 'add', 'up0', 'mtu', '9000', 'type', 'veth', 'peer', 'name', 'up1');
    await host.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'up0');
    await host.run('ip', 'link', 'set', 'up0', 'up');
    await host.run('ip', 'link', 'set', 'up1', 'up');
    await host.run('ip', 'route', 'add', 'default', 'via', '192.0.2.254');
    const ipam = hostLocal('10.66.0.0/24');
    const parents = (plugin: JsonObject) =>
      describeIt([plugin]).devices.map(({ name, role, mtu, addresses }) => [name, role, mtu, addresses]);
    const up0 = [['up0', 'parent', 9000, ['192.0.2.1/24']]];
    assert.deepEqual(parents({ type: 'macvlan', ipam }), up0);
    assert.deepEqual(parents({ type: 'ipvlan', ipam }), up0);
    assert.deepEqual(parents({ type: 'vlan', master: 'up0', vlanId: 5, ipam }), up0);
    assert.deepEqual(parents({ type: 'macvlan', master: 'none0', ipam })[0]?.[0], 'none0');
    assert.deepEqual(parents({ type: 'macvlan', master: 'up0', linkInContainer: true, ipam }), []);
    assert.deepEqual(
      parents({ type: 'ipvlan' }),
      [],
      'it is chained, and stands on what the plugin before made',
    );
  });
});
