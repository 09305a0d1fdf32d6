import assert from 'node:assert/strict';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cleanup } from '../../helpers/cleanup.ts';
import { Scratch } from '../../helpers/fixture.ts';
import { TestDaemon } from '../../helpers/daemon.ts';
import { TestNode } from '../../helpers/node.ts';
import { berth } from './run-main.ts';

describe('berth net gc and berth net test with a real daemon', () => {
  let cleanup: Cleanup;
  let scratch: string;
  beforeEach(async () => {
    cleanup = new Cleanup();
    scratch = cleanup.use(await Scratch.create()).path;
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  async function setUp(ipam: object, ...chained: object[]) {
    const node = cleanup.use(await TestNode.create());
    const bridge = { type: 'bridge', bridge: 'brt0', isGateway: true, ipMasq: true, ipam };
    const network = { cniVersion: '1.1.0', name: 'trialnet', plugins: [bridge, ...chained] };
    const daemon = cleanup.use(await TestDaemon.start({ node, networks: { '10-trial.conflist': network } }));
    return { node, daemon, run: (...args: string[]) => berth([...args, '--address', daemon.socket]) };
  }

  it("try the network in a namespace that is gone afterwards, and tell each plugin's part", async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.90.0.0/24' }]], dataDir: scratch };
    const { node, run } = await setUp(ipam);
    const tried = await run('net', 'test');
    assert.equal(tried.code, 0, tried.stderr);
    assert.match(tried.stdout, /^trialnet: works, 10\.90\.0\.2\/24\n/);
    for (const verb of ['ADD', 'CHECK', 'DEL']) {
      assert.match(tried.stdout, new RegExp(`\n +${verb} +bridge +[\\d.]+ ms +ok +built-in\n`));
      assert.match(tried.stdout, new RegExp(`\n +${verb} +host-local +[\\d.]+ ms +ok +built-in\n`));
    }
    const left = await readdir(join(scratch, 'trialnet'));
    assert.deepEqual(
      left.filter((name) => name.startsWith('10.')),
      [],
    );
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /veth/);
    assert.doesNotMatch(await node.run('iptables-save', '-t', 'nat'), /trialnet/);
  });

  it('tell which plugin fails, with exit code 1', async () => {
    const { run } = await setUp({
      type: 'host-local',
      ranges: [[{ subnet: '10.90.0.0/31' }]],
      dataDir: scratch,
    });
    const tried = await run('net', 'test');
    assert.equal(tried.code, 1);
    assert.match(tried.stdout, /^trialnet: failed\n[^]*bridge[^]*too small to allocate from/);
    assert.match(tried.stderr, /^berth: network "trialnet": [^\n]*too small to allocate from[^\n]*\n$/);
  });

  it('tell which network cannot be cleaned, with exit code 1', async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.90.0.0/24' }]], dataDir: scratch };
    const { run } = await setUp(ipam, { type: 'no-such-plugin' });
    const cleaned = await run('net', 'gc');
    assert.equal(cleaned.code, 1);
    assert.match(cleaned.stdout, /\ntrialnet +failed: [^\n]*no-such-plugin/);
    assert.match(cleaned.stderr, /^berth: network "trialnet": [^\n]*no-such-plugin[^\n]*\n$/);
  });

  it('collect what a pod of ours left, list what others left, and leave the living alone', async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.90.0.0/24' }]], dataDir: scratch };
    const { daemon, run } = await setUp(ipam);
    const started = await run('pod', 'run', '--name', 'web', '-n', 'shop');
    assert.equal(started.code, 0, started.stderr);
    const cache = join(daemon.directory, 'cni', 'results');
    const [file = ''] = await readdir(cache);
    const entry = JSON.parse(await readFile(join(cache, file), 'utf8')) as { netns: string };
    const leave = async (containerId: string, netns: string, address: string): Promise<void> => {
      const text = JSON.stringify({ ...entry, containerId, netns });
      await writeFile(join(cache, `trialnet-${containerId}-eth0`), text);
      await writeFile(join(scratch, 'trialnet', address), `${containerId}\r\neth0`);
    };
    await leave('orphan', `${entry.netns}-gone`, '10.90.0.50');
    await leave('stranger', '/run/netns/cni-gone', '10.90.0.51');

    const looked = await run('net', 'gc', '--dry-run');
    assert.match(looked.stdout, /\ntrialnet +orphan +eth0 +would be collected\n/);
    assert.match(looked.stdout, /\ntrialnet +stranger +eth0 +foreign, left alone\n/);
    assert.equal((await readdir(join(scratch, 'trialnet'))).includes('10.90.0.50'), true);

    const collected = await run('net', 'gc');
    assert.equal(collected.code, 0, collected.stdout);
    assert.match(collected.stdout, /\ntrialnet +orphan +eth0 +collected\n/);
    const left = (await readdir(join(scratch, 'trialnet'))).filter((name) => name.startsWith('10.'));
    assert.deepEqual(left.sort(), ['10.90.0.2', '10.90.0.51']);
    assert.equal((await run('net', 'gc')).stdout.includes('orphan'), false);
    assert.equal((await run('pod', 'rm', '-f', 'shop/web')).code, 0);
  });

  it("collect what no cached result names, tell what may be another network's, and show it all before", async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.90.0.0/24' }]], dataDir: scratch };
    const backups = join(scratch, 'tuning');
    const portmap = { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } };
    const { node, daemon, run } = await setUp(ipam, portmap, { type: 'tuning', dataDir: backups, mtu: 1400 });
    const started = await run('pod', 'run', '--name', 'web', '-n', 'shop', '--port', '8080:80');
    assert.equal(started.code, 0, started.stderr);
    await writeFile(join(scratch, 'trialnet', '10.90.0.60'), 'lost\r\neth0');
    await writeFile(join(backups, 'lost_eth0.json'), '{}');
    await node.run(
      ...['nft', 'add', 'rule', 'ip', 'cni_hostport', 'hostports', 'tcp', 'dport', '9090'],
      ...['dnat', 'to', '10.90.0.60:90', 'comment', '"lost"'],
    );
    await writeFile(join(daemon.directory, 'cni', 'results', 'trialnet-torn-eth0'), '{"kind"');
    await writeFile(join(scratch, 'trialnet', '10.90.0.61'), 'torn\r\neth0');

    const verdicts = (text: string): string[] =>
      text
        .split('\n')
        .filter((line) => line.startsWith('trialnet'))
        .map((line) => line.replace(/ +/g, ' '));
    const foreign = [
      'trialnet lost foreign, left alone: host ports in nftables',
      'trialnet lost eth0 foreign, left alone: backup of tuning',
      'trialnet cache file trialnet-torn-eth0 is unreadable, left alone',
    ];
    const looked = await run('net', 'gc', '--dry-run');
    assert.deepEqual(verdicts(looked.stdout), [
      'trialnet lost eth0 would be collected: address 10.90.0.60',
      ...foreign,
    ]);
    assert.equal((await readdir(join(scratch, 'trialnet'))).includes('10.90.0.60'), true);

    const collected = await run('net', 'gc');
    assert.equal(collected.code, 0, collected.stdout);
    assert.deepEqual(verdicts(collected.stdout), [
      'trialnet lost eth0 collected: address 10.90.0.60',
      ...foreign,
    ]);
    assert.deepEqual(verdicts((await run('net', 'gc', '--dry-run')).stdout), foreign);
    const left = (await readdir(join(scratch, 'trialnet'))).filter((name) => name.startsWith('10.'));
    assert.deepEqual(left.sort(), ['10.90.0.2', '10.90.0.61']);
    assert.match(await node.run('nft', 'list', 'table', 'ip', 'cni_hostport'), /dport 9090/);
    assert.equal((await run('pod', 'rm', '-f', 'shop/web')).code, 0);
  });

  it("free an address whose file is empty when no other is left, also before CNI 1.1.0, but no pod's", async () => {
    const ipam = {
      type: 'host-local',
      ranges: [[{ subnet: '10.90.0.0/29', rangeEnd: '10.90.0.3' }]],
      dataDir: scratch,
    };
    const node = cleanup.use(await TestNode.create());
    const network = { cniVersion: '0.4.0', name: 'old', plugins: [{ type: 'bridge', bridge: 'brt0', ipam }] };
    const daemon = cleanup.use(await TestDaemon.start({ node, networks: { '10-old.conflist': network } }));
    const start = (name: string) =>
      berth(['pod', 'run', '--name', name, '-n', 'shop', '--address', daemon.socket]);
    assert.equal((await start('first')).code, 0);
    const long = new Date(Date.now() - 120_000);
    for (const address of ['10.90.0.2', '10.90.0.3']) {
      await writeFile(join(scratch, 'old', address), '');
      await utimes(join(scratch, 'old', address), long, long);
    }
    const second = await start('second');
    assert.equal(second.code, 0, second.stderr);
    assert.match(await readFile(join(scratch, 'old', '10.90.0.3'), 'utf8'), /^[0-9a-f]{64}\r\neth0$/);
    assert.equal(await readFile(join(scratch, 'old', '10.90.0.2'), 'utf8'), '', 'the first pod has it');
    assert.match((await start('third')).stderr, /no IP addresses available in range set/);
  });

  it('collect what is in the way when no address is left, and the pod gets it', async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.90.0.0/30' }]], dataDir: scratch };
    const { daemon, run } = await setUp(ipam);
    const first = await run('pod', 'run', '--name', 'first', '-n', 'shop');
    assert.equal(first.code, 0, first.stderr);
    const cache = join(daemon.directory, 'cni', 'results');
    const [file = ''] = await readdir(cache);
    const entry = JSON.parse(await readFile(join(cache, file), 'utf8')) as { netns: string };
    assert.equal((await run('pod', 'rm', '-f', 'shop/first')).code, 0);
    const orphan = JSON.stringify({ ...entry, containerId: 'orphan', netns: `${entry.netns}-gone` });
    await writeFile(join(cache, 'trialnet-orphan-eth0'), orphan);
    await writeFile(join(scratch, 'trialnet', '10.90.0.2'), 'orphan\r\neth0');

    const second = await run('pod', 'run', '--name', 'second', '-n', 'shop');
    assert.equal(second.code, 0, second.stderr);
    assert.match((await run('pod', 'ps')).stdout, /second .* 10\.90\.0\.2 /);
    const third = await run('pod', 'run', '--name', 'third', '-n', 'shop');
    assert.match(third.stderr, /no IP addresses available in range set/);
    assert.equal((await run('pod', 'rm', '-f', 'shop/second')).code, 0);
  });
});
