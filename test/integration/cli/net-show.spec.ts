import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ShownNetwork } from '../../../src/network/overview.ts';
import { Cleanup } from '../../helpers/cleanup.ts';
import { TestDaemon } from '../../helpers/daemon.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import { berth } from './run-main.ts';

describe('berth net show with a real daemon', () => {
  let cleanup: Cleanup;
  let node: TestNode;
  let daemon: TestDaemon;
  let dataDir: string;

  beforeEach(async () => {
    cleanup = new Cleanup();
    dataDir = cleanup.use(await Scratch.create()).path;
    node = cleanup.use(await TestNode.create());
    await node.run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
    const ipam = (subnet: string) => ({ type: 'host-local', ranges: [[{ subnet }]], dataDir });
    const portmap = { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } };
    const networks = {
      '10-main.conflist': {
        cniVersion: '1.1.0',
        name: 'main',
        plugins: [
          { type: 'bridge', bridge: 'brt0', isGateway: true, mtu: 1400, ipam: ipam('10.91.0.0/24') },
          portmap,
        ],
      },
      '20-side.conflist': {
        cniVersion: '1.0.0',
        name: 'side',
        plugins: [{ type: 'macvlan', master: 'up0', ipam: ipam('10.92.0.0/29') }],
      },
    };
    daemon = cleanup.use(await TestDaemon.start({ node, networks, config: { cni: { max_conf_num: 0 } } }));
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const run = (...args: string[]) => berth([...args, '--address', daemon.socket]);

  async function shown(): Promise<ShownNetwork[]> {
    const { code, stdout, stderr } = await run('net', 'show', '--json');
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { networks: ShownNetwork[] }).networks;
  }

  async function show(name: string): Promise<ShownNetwork> {
    const network = (await shown()).find((each) => each.name === name);
    assert.ok(network, name);
    return network;
  }

  async function startPod(name: string, ...more: string[]): Promise<void> {
    const { code, stderr } = await run('pod', 'run', '--name', name, '-n', 'shop', ...more);
    assert.equal(code, 0, stderr);
  }

  it('tells each network with its links, pods, host ports and addresses, and finds nothing wrong', async () => {
    const before = await show('main');
    assert.deepEqual(
      [before.devices[0]?.present, before.pods, before.problems],
      [false, [], []],
      'a bridge that no pod needed yet is no problem',
    );
    await node.run('ip', 'link', 'set', 'up0', 'up');
    await node.run('ip', 'link', 'set', 'up1', 'up');
    await startPod('web', '--port', '8080:80');
    const [main, side] = [await show('main'), await show('side')];
    const [device] = main.devices;
    assert.deepEqual(
      { ...device },
      {
        name: 'brt0',
        present: true,
        kind: 'bridge',
        up: true,
        state: 'up',
        mtu: 1400,
        master: '',
        role: 'bridge',
        addresses: ['10.91.0.1/24'],
        missing: [],
      },
    );
    const [pod] = main.pods;
    assert.deepEqual([pod?.pod, pod?.ifName, pod?.ips], ['shop/web', 'eth0', ['10.91.0.2']]);
    assert.match(pod?.hostInterface?.name ?? '', /^veth/);
    assert.deepEqual([pod?.hostInterface?.up, pod?.hostInterface?.master], [true, 'brt0']);
    assert.deepEqual(
      main.hostPorts.map(({ port, targets, holder, pod: owner }) => [port, targets, holder, owner]),
      [['tcp/8080', ['10.91.0.2'], 'pod', 'shop/web']],
    );
    const [pool] = main.pools;
    assert.deepEqual([pool?.of, pool?.used, pool?.pods, pool?.free], [253, 1, 1, 252]);
    assert.deepEqual(main.problems, []);
    assert.deepEqual(
      side.devices.map(({ name, role, up }) => [name, role, up]),
      [['up0', 'parent', true]],
    );
    assert.deepEqual([side.pods[0]?.ifName, side.pods[0]?.hostInterface], ['eth1', undefined]);
    assert.deepEqual(side.problems, []);

    const { stdout } = await run('net', 'show');
    assert.match(
      stdout,
      /\nmain: bridge, portmap \(10-main\.conflist\)\n├─ brt0: bridge, up, mtu 1400, 10\.91\.0\.1\/24\n/,
    );
    assert.match(stdout, /\n│ {2}└─ veth[0-9a-f]{8} ─ eth0 {2}shop\/web {2}10\.91\.0\.2\n/);
    assert.match(stdout, /\n│ {2}└─ tcp\/8080 {2}→ 10\.91\.0\.2 {2}shop\/web\n/);
    assert.match(stdout, /\n {3}└─ 10\.92\.0\.0\/29: 1 used of 5, 4 free \(1 by pods\)\n/);
    const drawn = stdout.slice(stdout.indexOf('\nmain: '));
    assert.ok(drawn.split('\n').every((line) => line.length <= 100));
  });

  it('names what is broken, and what is not ours', async () => {
    await startPod('web', '--port', '8080:80');
    const end = (await show('main')).pods[0]?.hostInterface?.name ?? '';
    await node.run('ip', 'address', 'del', '10.91.0.1/24', 'dev', 'brt0');
    await node.run('ip', 'link', 'set', end, 'nomaster');
    await node.run('nft', 'flush', 'chain', 'ip', 'cni_hostport', 'hostports');
    await node.run(
      ...['nft', 'add', 'rule', 'ip', 'cni_hostport', 'hostports', 'tcp', 'dport', '9090'],
      ...['dnat', 'to', '10.91.0.77:90', 'comment', '"stranger"'],
    );
    await writeFile(join(dataDir, 'main', '10.91.0.77'), 'stranger\r\neth0');
    await writeFile(join(dataDir, 'main', '10.91.0.78'), '');
    await writeFile(join(dataDir, 'main', '10.1.0.7'), 'stranger\r\neth0');
    for (let host = 3; host <= 6; host += 1)
      await writeFile(join(dataDir, 'side', `10.92.0.${host}`), `s${host}\r\neth0`);
    await node.run('ip', 'link', 'set', 'brt0', 'down');
    const cache = join(daemon.directory, 'cni', 'results');
    const file = (await readdir(cache)).find((name) => name.startsWith('main-')) ?? '';
    const entry = JSON.parse(await readFile(join(cache, file), 'utf8')) as { netns: string };
    const orphan = { ...entry, containerId: 'orphan', netns: `${entry.netns}-gone` };
    await writeFile(join(cache, 'main-orphan-eth0'), JSON.stringify(orphan));

    const main = await show('main');
    assert.deepEqual(main.problems, [
      'brt0 is down',
      "brt0 lacks 10.91.0.1/24, the gateway's address",
      `${end} of shop/web is no port of brt0`,
      'host port tcp/8080 of shop/web has no rule',
      '1 attachment is left of pods that are gone: berth net gc collects them',
      `a file in ${join(dataDir, 'main')} of no range: 10.1.0.7`,
    ]);
    assert.deepEqual(
      main.hostPorts.map(({ port, targets, holder, containerId }) => [port, targets, holder, containerId]),
      [
        ['tcp/8080', [], 'pod', main.pods[0]?.sandboxId],
        ['tcp/9090', ['10.91.0.77'], 'foreign', 'stranger'],
      ],
    );
    const [pool] = main.pools;
    assert.deepEqual([pool?.used, pool?.pods, pool?.foreign], [3, 1, 2]);
    assert.deepEqual(pool?.foreignReservations, [
      { address: '10.91.0.77', containerId: 'stranger', ifName: 'eth0' },
      { address: '10.91.0.78', containerId: '', ifName: '' },
    ]);
    assert.deepEqual((await show('side')).problems, ['up0 is down', '10.92.0.0/29 has no free address']);
    const { stdout } = await run('net', 'show');
    assert.match(stdout, /foreign: 10\.91\.0\.77, container stranger\n/);
    assert.match(stdout, /foreign: 10\.91\.0\.78, its file tells no owner\n/);
    assert.match(stdout, / tcp\/9090 {2}→ 10\.91\.0\.77 {2}container stranger \(foreign\)\n/);

    await node.run('ip', 'link', 'delete', end);
    await node.run('ip', 'link', 'delete', 'brt0');
    const gone = (await show('main')).problems;
    assert.deepEqual(gone.slice(0, 2), [
      'brt0 is missing, but pods are on it: shop/web',
      `${end} of shop/web is missing`,
    ]);
  });

  it('tells of host ports that no plugin maps; so do the log and berth net explain', async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.93.0.0/24' }]], dataDir };
    const plugins = [{ type: 'bridge', bridge: 'brt0', ipam }];
    const network = { cniVersion: '1.0.0', name: 'plain', plugins };
    const plain = cleanup.use(await TestDaemon.start({ node, networks: { '10-plain.conflist': network } }));
    const ask = (...args: string[]) => berth([...args, '--address', plain.socket]);
    const started = await ask('pod', 'run', '--name', 'web', '-n', 'shop', '--port', '8080:80');
    assert.equal(started.code, 0, started.stderr);
    const { stdout } = await ask('net', 'show', '--json');
    const [shownPlain] = (JSON.parse(stdout) as { networks: ShownNetwork[] }).networks;
    assert.deepEqual(shownPlain?.problems, [
      'host port tcp/8080 of shop/web is mapped by no plugin of network plain',
    ]);
    assert.match(
      (await ask('net', 'explain', 'shop/web')).stdout,
      /\nUnmapped: +host ports tcp\/8080: no plugin of its networks maps any\n/,
    );
    assert.match(
      await plain.log(),
      /"level":"warn".*shop\/web.*tcp\/8080.*plain.*no plugin maps the host ports of a pod/,
    );
  });

  it('says that a bad file is passed over, and keeps a network that only pods are left of', async () => {
    await startPod('web');
    await writeFile(join(daemon.confDir, '10-main.conflist'), '{');
    const stale = await eventually('the file is bad', async () => {
      const network = await show('main');
      return network.staleSince === undefined ? undefined : network;
    });
    assert.match(
      stale.problems[0] ?? '',
      /^10-main\.conflist is bad since 20.*; its last good version is in use$/,
    );
    await rm(join(daemon.confDir, '10-main.conflist'));
    const left = await eventually('the file is gone', async () => {
      const network = await show('main');
      return network.file === '' ? network : undefined;
    });
    assert.deepEqual(left.problems, ['it is configured no more, but pods are on it: shop/web']);
    assert.deepEqual(left.pods[0]?.ips, ['10.91.0.2']);
    assert.match((await run('net', 'show')).stdout, /\nmain: bridge, portmap \(configured no more\)\n/);
  });
});
