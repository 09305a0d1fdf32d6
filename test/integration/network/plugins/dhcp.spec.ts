import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { podConfig } from '../../../helpers/cri-client.ts';
import { TestDaemon } from '../../../helpers/daemon.ts';
import { DhcpEar, DhcpServer, lan } from '../../../helpers/dhcp.ts';
import { eventually, Scratch } from '../../../helpers/fixture.ts';
import { runIn, TestNode } from '../../../helpers/node.ts';

const DISCOVER = 1;
const REQUEST = 3;
const RELEASE = 7;

describe('dhcp: leases of pods, by a real server, kept by the daemon', function () {
  this.timeout(90_000);
  let cleanup: Cleanup;
  let node: TestNode;
  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    await lan(node);
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const network = (plugin: object, ipam: object = {}) => ({
    '10-dhcp.conflist': {
      cniVersion: '1.1.0',
      name: 'lan',
      plugins: [{ ...plugin, ipam: { type: 'dhcp', ...ipam } }],
    },
  });
  const bridge = { type: 'bridge', bridge: 'br98' };
  const start = async (networks = network(bridge)): Promise<TestDaemon> =>
    cleanup.use(await TestDaemon.start({ node, networks }));
  const serve = async (lease: number, first = '10.98.0.20', more: string[] = ['option router 10.98.0.1']) =>
    cleanup.use(
      await DhcpServer.start({
        node,
        device: 'br98',
        range: [first, first.replace(/\d+$/, (last) => `${Number(last) + 20}`)],
        lease,
        more,
      }),
    );
  const listen = (): DhcpEar => cleanup.use(new DhcpEar(node, 'br98'));
  const recorded = ({ directory }: TestDaemon): string[] =>
    readdirSync(join(directory, 'root', 'leases')).filter((name) => name.endsWith('.json'));
  const netnsOf = ({ directory }: TestDaemon): string => {
    const [name = ''] = readdirSync(join(directory, 'netns'));
    return join(directory, 'netns', name);
  };

  it('a pod gets address, gateway and route, says who it is, and gives the address back', async () => {
    await serve(600);
    const ear = listen();
    const daemon = await start();
    const { client } = daemon;
    const id = await client.run(podConfig('leased'));
    const { status } = await client.podStatus(id);
    assert.match(status?.network?.ip ?? '', /^10\.98\.0\.\d+$/);
    const ip = status?.network?.ip ?? '';
    assert.match(await runIn(netnsOf(daemon), 'ip', '-4', 'route'), /default via 10\.98\.0\.1 dev eth0/);
    assert.deepEqual([...new Set(ear.heard.map(({ type }) => type))], [DISCOVER, REQUEST]);
    const discover = await ear.next('DISCOVER', ({ type }) => type === DISCOVER);
    assert.equal(Buffer.from(discover.options.get(61) ?? []).toString(), `\0${id}/lan/eth0`);
    assert.deepEqual([...(discover.options.get(55) ?? [])].sort(), [1, 3]);
    assert.equal(recorded(daemon).length, 1);
    await client.stop(id);
    const release = await ear.next('RELEASE', ({ type }) => type === RELEASE);
    assert.equal(release.ciaddr, ip);
    assert.deepEqual([release.source, release.destination, release.isUnicast], [ip, '10.98.0.1', true]);
    assert.deepEqual(recorded(daemon), []);
  });

  it('a lease is renewed by unicast, also by the daemon that comes after one that was killed', async () => {
    // To be renewed soon, and not to run out however long a busy machine takes.
    await serve(120, '10.98.0.20', ['option router 10.98.0.1', 'option 0x3a 00000004']);
    const ear = listen();
    const daemon = await start();
    const id = await daemon.client.run(podConfig('kept'));
    const ip = (await daemon.client.podStatus(id)).status?.network?.ip ?? '';
    const renewal = await ear.next('a renewal', ({ type, ciaddr }) => type === REQUEST && ciaddr === ip);
    assert.deepEqual([renewal.isUnicast, renewal.destination], [true, '10.98.0.1']);
    await eventually(
      'the renewal in the log',
      async () => (await daemon.log()).includes('DHCP lease renewed') || undefined,
    );
    await daemon.kill();
    ear.heard.length = 0;
    await daemon.start();
    const again = await ear.next('a renewal', ({ type, ciaddr }) => type === REQUEST && ciaddr === ip);
    assert.equal(again.isUnicast, true);
    // Not for a lease that has run out meanwhile and is looked for anew.
    assert.equal(
      ear.heard.some(({ type }) => type === DISCOVER),
      false,
    );
    assert.equal((await daemon.client.podStatus(id)).status?.network?.ip, ip);
    await daemon.client.stop(id);
    await ear.next('RELEASE', ({ type, ciaddr }) => type === RELEASE && ciaddr === ip);
  });

  it('without a server the pod fails in time with what is wrong, and nothing is left', async () => {
    const daemon = await start();
    await assert.rejects(
      daemon.client.run(podConfig('alone'), '', 12_000),
      /no more tries: no DHCP server answered on "eth0" within [\d.]+ s/,
    );
    await eventually(
      'nothing is left',
      () => readdirSync(join(daemon.directory, 'netns')).length + recorded(daemon).length === 0 || undefined,
    );
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /veth/);
  });

  it('other networks’ pods do not wait behind those that wait for a server', async () => {
    const { path } = cleanup.use(await Scratch.create());
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]], dataDir: join(path, 'ipam') };
    const list = { cniVersion: '1.1.0', name: 'local', plugins: [{ type: 'ptp', ipam }] };
    writeFileSync(join(path, '10-local.conflist'), JSON.stringify(list));
    const runtimes = { local: { cni_conf_dir: path } };
    const config = { containerd: { address: join(path, 'no-engine.sock'), runtimes } };
    const daemon = cleanup.use(await TestDaemon.start({ node, networks: network(bridge), config }));
    const { client } = daemon;
    const waiting = ['one', 'two', 'three'].map((name) => client.run(podConfig(name)));
    const ended = waiting.map(async (run) =>
      run.then(
        () => 'ready',
        () => 'failed',
      ),
    );
    let isOver = false;
    void Promise.race(ended).then(() => (isOver = true));
    for (const name of ['four', 'five', 'six']) {
      const id = await client.run(podConfig(name), 'local');
      await client.stop(id);
    }
    assert.equal(isOver, false, 'those that wait were still waiting');
    await daemon.stop();
    assert.deepEqual(await Promise.all(ended), ['failed', 'failed', 'failed']);
  });

  it('a daemon that is stopped does not wait for those who wait', async () => {
    const ear = listen();
    const daemon = await start();
    const waiting = daemon.client.run(podConfig('waiting')).catch((error: unknown) => String(error));
    await ear.next('DISCOVER', ({ type }) => type === DISCOVER);
    // Null is the exit code of one that had to be killed.
    assert.equal(await daemon.stop(), 0);
    assert.match(await waiting, /cancelled|UNAVAILABLE/i);
    assert.deepEqual(recorded(daemon), []);
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /veth/);
  });

  it('an address that the server gives no more stays until the lease ends, is then taken off, and comes back', async () => {
    const server = await serve(6);
    const ear = listen();
    const daemon = await start();
    const id = await daemon.client.run(podConfig('moved'));
    const ip = (await daemon.client.podStatus(id)).status?.network?.ip ?? '';
    await server[Symbol.asyncDispose]();
    const other = await serve(6, '10.98.0.220');
    const log = (text: string) =>
      eventually(text, async () => (await daemon.log()).includes(text) || undefined);
    await log('no DHCP server gave the lease more time');
    const addresses = () => runIn(netnsOf(daemon), 'ip', '-4', '-br', 'address', 'show', 'eth0');
    await log('DHCP lease expired: the address was taken off the interface');
    assert.doesNotMatch(await addresses(), /10\.98/);
    await log('offers another address, which a pod cannot take');
    await other[Symbol.asyncDispose]();
    await serve(60, ip);
    await log('DHCP lease regained');
    assert.ok((await addresses()).includes(`${ip}/24`));
    assert.match(await runIn(netnsOf(daemon), 'ip', '-4', 'route'), /default via 10\.98\.0\.1 dev eth0/);
    assert.ok(ear.heard.length > 0);
    await daemon.client.stop(id);
  });

  it('a lease whose namespace is gone is dropped, and a DEL without it is well', async () => {
    await serve(4);
    const daemon = await start();
    const id = await daemon.client.run(podConfig('gone'));
    await runIn(netnsOf(daemon), 'ip', 'link', 'delete', 'eth0');
    await eventually('it is dropped', () => recorded(daemon).length === 0 || undefined);
    assert.match(await daemon.log(), /DHCP lease dropped: its interface is gone/);
    await daemon.client.stop(id);
    assert.equal(existsSync(join(daemon.directory, 'root', 'debts', `${id.slice(0, 13)}-eth0.json`)), false);
  });

  it('macvlan has its addresses from it, too', async () => {
    await node.run('ip', 'link', 'add', 'up98', 'type', 'veth', 'peer', 'name', 'far98');
    await node.run('ip', 'link', 'set', 'far98', 'master', 'br98', 'up');
    await node.run('ip', 'link', 'set', 'up98', 'up');
    await serve(600);
    const ear = listen();
    const daemon = await start(network({ type: 'macvlan', master: 'up98' }));
    const id = await daemon.client.run(podConfig('macvlan'));
    const ip = (await daemon.client.podStatus(id)).status?.network?.ip ?? '';
    assert.match(ip, /^10\.98\.0\.\d+$/);
    await daemon.client.stop(id);
    await ear.next('RELEASE', ({ type, ciaddr }) => type === RELEASE && ciaddr === ip);
  });
});
