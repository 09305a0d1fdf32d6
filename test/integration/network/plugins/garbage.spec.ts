import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { flock, LOCK_EX } from '../../../../src/kernel/libc.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callPlugin, callWell, type PluginAnswer } from '../../../helpers/plugin-process.ts';

/** Two containers on one network; then the first is gone, and the runtime lists only the second. */
describe('GC and STATUS of built-in plugins', () => {
  let cleanup: Cleanup;
  let host: TestNode;
  let dir: string;
  let pods: TestNode[];
  beforeEach(async () => {
    cleanup = new Cleanup();
    host = cleanup.use(await TestNode.create());
    pods = [cleanup.use(await TestNode.create()), cleanup.use(await TestNode.create())];
    dir = cleanup.use(await Scratch.create()).path;
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const base = { cniVersion: '1.1.0', name: 'net' };
  const ipam = (subnet: string): JsonObject => ({
    type: 'host-local',
    ranges: [[{ subnet }]],
    dataDir: join(dir, 'ipam'),
  });
  const call = (verb: 'ADD' | 'GC' | 'STATUS', config: JsonObject, pod = 0) => ({
    verb,
    type: config['type'] as string,
    config: { ...base, ...config },
    containerId: `c${pod}`,
    netns: pods[pod]?.path ?? '',
  });
  const chain = (...plugins: JsonObject[]) => ({
    add: async (pod: number) => {
      let prevResult: JsonObject | undefined;
      for (const plugin of plugins) {
        const config = { ...plugin, ...(prevResult === undefined ? {} : { prevResult }) };
        prevResult = await callWell(host, 'in-process', call('ADD', config, pod));
      }
    },
    gc: async () => {
      const said: string[] = [];
      const listed = [{ containerID: 'c1', ifname: 'eth0' }];
      for (const plugin of plugins) {
        const config = { ...plugin, 'cni.dev/valid-attachments': listed, 'cni.dev/attachments': listed };
        said.push(...(await callPlugin(host, 'in-process', call('GC', config))).stderr.split('\n'));
      }
      return said.filter((line) => line !== '');
    },
  });

  it("frees the address, masquerading, host ports and ifb of a container that is gone, and nobody else's", async () => {
    const network = chain(
      { type: 'bridge', bridge: 'br77', isGateway: true, ipMasq: true, ipam: ipam('10.77.0.0/24') },
      {
        type: 'portmap',
        backend: 'iptables',
        runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] },
      },
      { type: 'bandwidth', egressRate: 8_000_000, egressBurst: 8_000_000 },
    );
    const other = chain({ ...base, name: 'other', type: 'ptp', ipMasq: true, ipam: ipam('10.78.0.0/24') });
    await network.add(0);
    await host.run('ip', '-n', pods[0]?.name ?? '', 'link', 'del', 'eth0');
    await other.add(0);
    const ports = await host.run('iptables-save', '-t', 'nat');
    assert.match(ports, /dnat name: \\"net\\" id: \\"c0\\"/);
    await network.gc();
    const nat = await host.run('iptables-save', '-t', 'nat');
    assert.doesNotMatch(nat, /name: \\"net\\" id: \\"c0\\"/);
    assert.match(nat, /name: \\"other\\" id: \\"c0\\"/);
    assert.doesNotMatch(await host.run('ip', '-br', 'link'), /bwp/);
    assert.equal(existsSync(join(dir, 'ipam', 'net', '10.77.0.2')), false);
    assert.equal(existsSync(join(dir, 'ipam', 'other', '10.78.0.2')), true);
  });

  it('tells of host ports and chains that name no network, and leaves them', async () => {
    const portMappings = [{ hostPort: 8080, containerPort: 80 }];
    const bridge = { type: 'bridge', bridge: 'br77', isGateway: true, ipam: ipam('10.77.0.0/24') };
    const tables = { type: 'portmap', backend: 'iptables', runtimeConfig: { portMappings } };
    const nft = {
      ...tables,
      backend: 'nftables',
      runtimeConfig: { portMappings: [{ hostPort: 81, containerPort: 8 }] },
    };
    const network = chain(bridge, tables, nft);
    await network.add(0);
    // What is left of a reference ADD that ends between its chain and the way into it.
    await host.run('iptables', '-t', 'nat', '-N', 'CNI-DN-0123456789abcdef0123');
    const said = await network.gc();
    assert.deepEqual(said.filter((line) => !line.includes('address')).sort(), [
      "left host ports in nftables of c0: it may be another network's",
      "left host ports in nftables of c0: it may be another network's",
      "left iptables chain CNI-DN-0123456789abcdef0123: it may be another network's",
      "left iptables chain CNI-DN-0123456789abcdef0123: it may be another network's",
      'removed host ports of c0: it is not among the valid attachments',
    ]);
    assert.match(await host.run('nft', 'list', 'table', 'ip', 'cni_hostport'), /dport 81 .*comment "c0"/);
    const nat = await host.run('iptables-save', '-t', 'nat');
    assert.match(nat, /:CNI-DN-0123456789abcdef0123 /);
    assert.doesNotMatch(nat, /8080/);
  });

  it('leaves what the runtime lists', async () => {
    const network = chain(
      { type: 'ptp', ipMasq: true, ipMasqBackend: 'nftables', ipam: ipam('10.77.0.0/24') },
      { type: 'bandwidth', egressRate: 8_000_000, egressBurst: 8_000_000 },
    );
    await network.add(0);
    await network.add(1);
    await network.gc();
    const rules = await host.run('nft', 'list', 'table', 'inet', 'cni_plugins_masquerade');
    assert.match(rules, /id: c1/);
    assert.doesNotMatch(rules, /id: c0/);
    // The first one's ifb is still led to: its container's link is there.
    assert.equal((await host.run('ip', '-br', 'link')).match(/bwp/g)?.length, 2);
    assert.deepEqual(
      readdirSync(join(dir, 'ipam', 'net')).filter((name) => name.startsWith('10.')),
      ['10.77.0.3'],
    );
  });

  it('leaves an ifb that nothing leads to yet, as its ADD is under way', async () => {
    const limit = { type: 'bandwidth', egressRate: 8_000_000, egressBurst: 8_000_000 };
    const network = chain({ type: 'ptp', ipam: ipam('10.77.0.0/24') }, limit);
    await network.add(0);
    const links = await host.run('ip', '-br', 'link');
    const [ifb = ''] = /bwp[0-9a-f]{12}/.exec(links) ?? [];
    const [port = ''] = /veth[0-9a-f]+/.exec(links) ?? [];
    await host.run('tc', 'qdisc', 'del', 'dev', port, 'ingress');
    const all = ['parent', 'ffff:', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0'];
    const redirect = [...all, 'action', 'mirred', 'egress', 'redirect', 'dev', ifb];
    // This is the ADD, between the link and the way to it, and holds the lock. GC is a process that can wait for that.
    const fd = openSync(host.path, 'r');
    const ended = { gc: false };
    let gc: Promise<PluginAnswer>;
    try {
      flock(fd, LOCK_EX);
      const config = { ...limit, name: 'other', 'cni.dev/valid-attachments': [] };
      gc = callPlugin(host, 'berth', call('GC', config)).finally(() => (ended.gc = true));
      await Promise.race([gc, sleep(3_000)]);
      assert.equal(ended.gc, false, 'GC waits for the ADD');
      await host.run('tc', 'qdisc', 'add', 'dev', port, 'ingress');
      await host.run('tc', 'filter', 'add', 'dev', port, ...redirect);
    } finally {
      closeSync(fd);
    }
    assert.equal((await gc).exitCode, 0);
    assert.ok((await host.run('ip', '-br', 'link')).includes(ifb));
  });

  it("removes flannel's files of containers that are gone, of its own network", async () => {
    const subnetFile = join(dir, 'subnet.env');
    const env =
      'FLANNEL_NETWORK=10.77.0.0/16\nFLANNEL_SUBNET=10.77.0.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';
    writeFileSync(subnetFile, env);
    const dataDir = join(dir, 'flannel');
    const network = chain({ type: 'flannel', subnetFile, dataDir, ipam: { dataDir: join(dir, 'ipam') } });
    await network.add(0);
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, 'foreign'), JSON.stringify({ name: 'other', type: 'bridge' }));
    await network.gc();
    assert.deepEqual(readdirSync(dataDir), ['foreign']);
  });

  it('STATUS is 50 when no address is left', async () => {
    const config = { type: 'ptp', ipam: ipam('10.77.0.0/30') };
    await callWell(host, 'in-process', call('STATUS', config));
    await callWell(host, 'in-process', call('ADD', config));
    const { exitCode, output } = await callPlugin(host, 'in-process', call('STATUS', config));
    assert.deepEqual([exitCode, output?.['code']], [1, 50]);
  });
});
