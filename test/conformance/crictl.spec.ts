import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { TestDaemon } from '../helpers/daemon.ts';
import { runIn, TestNode } from '../helpers/node.ts';

interface Inspected {
  readonly status: {
    readonly state: string;
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly network: { readonly ip: string };
  };
  readonly info: { readonly runtimeSpec: { readonly linux: { readonly namespaces: readonly Namespace[] } } };
}

interface Namespace {
  readonly type: string;
  readonly path?: string;
}

// A veth goes when the kernel gets round to destroying its namespace.
const SETTLE_MS = 20_000;

describe('crictl', () => {
  let node: TestNode;
  let daemon: TestDaemon;
  let initial: string[];

  const started: AsyncDisposable[] = [];

  before(async () => {
    node = await TestNode.create();
    started.push(node);
    daemon = await TestDaemon.start({ node });
    started.push(daemon);
    initial = await state();
  });

  after(async () => {
    for (const it of started.reverse()) await it[Symbol.asyncDispose]();
  });

  async function crictl(...args: string[]): Promise<string> {
    const endpoint = `unix://${daemon.socket}`;
    const program = process.env['CRICTL'];
    assert.ok(program, 'CRICTL is not set: run this through npm run conformance');
    return (await execa(program, ['--runtime-endpoint', endpoint, '--image-endpoint', endpoint, ...args]))
      .stdout;
  }

  async function runp(name: string, more: object = {}): Promise<string> {
    const file = join(daemon.directory, 'pod.json');
    const metadata = { name, namespace: 'default', uid: `${name}-uid`, attempt: 1 };
    await writeFile(
      file,
      JSON.stringify({ metadata, hostname: name, log_directory: '/tmp', linux: {}, ...more }),
    );
    return (await crictl('runp', file)).trim();
  }

  async function inspectp(id: string): Promise<Inspected> {
    return JSON.parse(await crictl('inspectp', id)) as Inspected;
  }

  /** What a pod may leave traces in: links, rules, pinned namespaces, records, reservations, cached results. */
  async function state(): Promise<string[]> {
    const links = JSON.parse(await node.run('ip', '-json', 'link')) as { ifname: string }[];
    const ruleset = JSON.parse(await node.run('nft', '-j', 'list', 'ruleset')) as { nftables: object[] };
    const rules = ruleset.nftables
      .filter((object) => 'rule' in object)
      .map((object) => JSON.stringify(object));
    const files = await readdir(daemon.directory, { recursive: true });
    return [
      ...links.map((link) => `link ${link.ifname}`),
      ...rules,
      ...files.map((file) => `file ${file}`),
    ].sort();
  }

  /** What stays after the last pod, as with the reference plugins: the bridge, the allocator's memory and lock. */
  function mayStay(line: string): boolean {
    return (
      line === 'link brt0' ||
      /^file (log|pod\.json|netns|cni|cni\/results|ipam|ipam\/berth-test)$/.test(line) ||
      /^file ipam\/berth-test\/(lock|last_reserved_ip\.\d+)$/.test(line) ||
      (line.startsWith('{"rule"') && line.includes('CNI-HOSTPORT') && !line.includes('CNI-DN-'))
    );
  }

  async function leftovers(): Promise<string[]> {
    const deadline = Date.now() + SETTLE_MS;
    for (;;) {
      const left = (await state()).filter((line) => !initial.includes(line) && !mayStay(line));
      if (left.length === 0 || Date.now() > deadline) return left;
      await sleep(50);
    }
  }

  afterEach(async () => {
    await crictl('rmp', '--force', '--all');
    assert.deepEqual(await leftovers(), []);
    assert.deepEqual(JSON.parse(await crictl('pods', '--output', 'json')), { items: [] });
  });

  it('runp gives a pod one IP that inspectp shows and that the host can ping', async () => {
    const id = await runp('first');
    const { status } = await inspectp(id);
    assert.equal(status.state, 'SANDBOX_READY');
    assert.match(status.network.ip, /^10\.97\.\d+\.\d+$/);
    await node.run('ping', '-c', '1', '-W', '2', status.network.ip);
  });

  it('a second pod pings the first', async () => {
    const first = await inspectp(await runp('first'));
    const second = await inspectp(await runp('second'));
    assert.notEqual(first.status.network.ip, second.status.network.ip);
    const netns = second.info.runtimeSpec.linux.namespaces.find(({ type }) => type === 'network')?.path;
    assert.ok(netns, 'inspectp shows no network namespace');
    await runIn(netns, 'ping', '-c', '1', '-W', '2', first.status.network.ip);
  });

  it('pods lists by name, namespace, state, label and id prefix', async () => {
    const id = await runp('labelled', { labels: { app: 'web' } });
    const other = await runp('other');
    await crictl('stopp', other);
    const listed = async (...filter: string[]): Promise<string[]> =>
      (await crictl('pods', '--quiet', '--no-trunc', ...filter)).split('\n').filter((line) => line !== '');
    assert.deepEqual((await listed()).sort(), [id, other].sort());
    assert.deepEqual(await listed('--label', 'app=web'), [id]);
    assert.deepEqual(await listed('--state', 'ready'), [id]);
    assert.deepEqual(await listed('--state', 'notready'), [other]);
    assert.deepEqual(await listed('--name', 'other'), [other]);
    assert.deepEqual(await listed('--id', id.slice(0, 13)), [id]);
    assert.deepEqual(await listed('--namespace', 'kube-system'), []);
  });

  it('stopp takes the IP back and may be repeated, by a prefix of the id too', async () => {
    const id = await runp('stopped');
    await crictl('stopp', id.slice(0, 13));
    await crictl('stopp', id);
    const { status } = await inspectp(id);
    assert.equal(status.state, 'SANDBOX_NOTREADY');
    assert.equal(status.network.ip, '');
  });

  it('a host port leads to the pod and is free again after rmp', async () => {
    const mapping = { protocol: 0, container_port: 80, host_port: 18080, host_ip: '' };
    const id = await runp('published', { port_mappings: [mapping] });
    const { status } = await inspectp(id);
    assert.match(
      await node.run('nft', 'list', 'ruleset'),
      new RegExp(status.network.ip.replaceAll('.', '\\.')),
    );
  });

  it('names what is wrong with a sandbox that it refuses', async () => {
    await assert.rejects(runp('../../etc'), /metadata\.name/);
    await assert.rejects(inspectp('0000000000000000'), /not found|NotFound/i);
  });
});
