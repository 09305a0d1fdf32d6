import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { ResultCache } from '../../../../src/network/cni/cache.ts';
import { Chain } from '../../../../src/network/cni/chain.ts';
import { parseNetworkList } from '../../../../src/network/cni/configuration/parse.ts';
import { ExecInvoke } from '../../../../src/network/cni/invoke/exec-invoke.ts';
import type { Attachment, NetworkList, Step } from '../../../../src/network/cni/types.ts';

const REFERENCE = '/usr/lib/cni';
const TYPES = ['bridge', 'host-local', 'portmap', 'loopback'];

/** The chain against the reference executables; "the host" is a namespace of the test's own. */
describe('a chain of reference plugins', () => {
  const tag = randomBytes(3).toString('hex');
  const host = `brt-h${tag}`;
  const pod = `brt-p${tag}`;
  let signal: AbortSignal;
  let dir = '';
  let chain: Chain;
  let network: NetworkList;
  let attachment: Attachment;

  beforeEach(() => {
    signal = AbortSignal.timeout(30_000);
  });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'brt-chain-'));
    for (const name of [host, pod]) await execa('ip', ['netns', 'add', name]);
    await execa('ip', ['-n', host, 'link', 'set', 'lo', 'up']);
    const bin = join(dir, 'bin');
    await mkdir(bin);
    for (const type of TYPES) {
      const inHost = `#!/bin/sh\n[ -n "$CNI_COMMAND" ] && [ ! -e ${dir}/broken-${type} ] || exit 7\nexec ip netns exec ${host} ${REFERENCE}/${type}\n`;
      await writeFile(join(bin, type), inHost, { mode: 0o755 });
    }
    const list = {
      name: 'brt',
      cniVersion: '1.0.0',
      plugins: [
        {
          type: 'bridge',
          bridge: 'brt0',
          isGateway: true,
          ipam: {
            type: 'host-local',
            dataDir: join(dir, 'ipam'),
            ranges: [[{ subnet: '10.213.0.0/24' }]],
            routes: [{ dst: '0.0.0.0/0' }],
          },
        },
        { type: 'portmap', backend: 'iptables', capabilities: { portMappings: true } },
      ],
    };
    network = await parseNetworkList(JSON.stringify(list), { source: '' });
    attachment = {
      network,
      containerId: `c${tag}`,
      netns: `/run/netns/${pod}`,
      ifName: 'eth0',
      args: [['IgnoreUnknown', '1']],
      capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    };
    chain = new Chain({ invoke: new ExecInvoke(), cache: new ResultCache(join(dir, 'cni')), binDirs: [bin] });
  });
  after(async () => {
    if (dir === '') return;
    for (const name of [host, pod]) await execa('ip', ['netns', 'del', name], { reject: false });
    await rm(dir, { recursive: true });
  });

  const reserved = async () => (await readdir(join(dir, 'ipam', 'brt'))).filter((name) => /^\d/.test(name));
  const dnatRules = async () =>
    (await execa('ip', ['netns', 'exec', host, 'iptables', '-t', 'nat', '-S'])).stdout.match(/-j DNAT/g)
      ?.length ?? 0;

  it('gives the pod what the result says, checks it, and takes all of it away again', async () => {
    const steps: Step[] = [];
    const result = await chain.add(attachment, { signal, onStep: (step) => steps.push(step) });
    assert.deepEqual(
      result.interfaces.map(({ name, sandbox }) => [name.replace(/^veth.*/, 'veth'), sandbox]),
      [
        ['brt0', undefined],
        ['veth', undefined],
        ['eth0', `/run/netns/${pod}`],
      ],
    );
    assert.deepEqual(result.ips, [{ interface: 2, address: '10.213.0.2/24', gateway: '10.213.0.1' }]);
    assert.deepEqual(
      steps.map(({ plugin, verb, provider }) => [plugin, verb, provider]),
      ['bridge', 'portmap'].map((type) => [type, 'ADD', join(dir, 'bin', type)]),
    );
    const { stdout } = await execa('ip', ['-n', pod, '-j', 'addr', 'show', 'dev', 'eth0']);
    assert.match(stdout, /"local":"10\.213\.0\.2","prefixlen":24/);
    assert.equal(await dnatRules(), 1);
    // Not portmap: version 1.1.1 finds fault with whatever has no IPv6 rules.
    await chain.check(
      { ...attachment, network: { ...network, plugins: network.plugins.slice(0, 1) } },
      { signal },
    );

    assert.deepEqual(await chain.del(attachment, { signal }), { failures: [] });
    assert.deepEqual(await reserved(), []);
    assert.equal(await dnatRules(), 0);
    await assert.rejects(execa('ip', ['-n', pod, 'link', 'show', 'eth0']));
    assert.deepEqual(await readdir(join(dir, 'cni', 'results')), []);
    assert.deepEqual(await chain.del(attachment, { signal }), { failures: [] }, 'DEL may be repeated');
  });

  it('frees the address although portmap fails, and pays what portmap owes later', async () => {
    const result = await chain.add(attachment, { signal });
    await writeFile(join(dir, 'broken-portmap'), '');
    const { failures } = await chain.del(attachment, { signal, result });
    assert.deepEqual(
      failures.map(({ index, type }) => [index, type]),
      [[1, 'portmap']],
    );
    assert.match(
      failures[0]?.error ?? '',
      /^plugin type="portmap" name="brt" failed \(delete\): netplugin failed with no error message: exit status 7/,
    );
    assert.deepEqual(await reserved(), []);
    assert.equal(await dnatRules(), 1);
    await rm(join(dir, 'broken-portmap'));
    assert.deepEqual(await chain.del(attachment, { signal, result, only: [1], netns: '' }), { failures: [] });
    assert.equal(await dnatRules(), 0);
  });

  it('fails when its IPAM plugin is gone, and the next attempt works', async () => {
    await writeFile(join(dir, 'broken-host-local'), '');
    await assert.rejects(
      chain.add(attachment, { signal }),
      /^BerthError: plugin type="bridge" name="brt" failed \(add\): netplugin failed/,
    );
    await rm(join(dir, 'broken-host-local'));
    await chain.del(attachment, { signal });
    const { ips } = await chain.add(attachment, { signal });
    assert.match(ips[0]?.address ?? '', /^10\.213\.0\.\d+\/24$/);
    assert.deepEqual(await chain.del(attachment, { signal }), { failures: [] });
    assert.deepEqual(await reserved(), []);
  });

  it('says which versions its plugins speak', async () => {
    const versions = await chain.version('bridge', { signal });
    assert.ok(versions.includes('1.0.0') && versions.includes('0.3.1'), versions.join());
  });

  it('leaves files that it can read again', async () => {
    const result = await chain.add(attachment, { signal });
    const cached = await new ResultCache(join(dir, 'cni')).read({
      network: 'brt',
      containerId: attachment.containerId,
      ifName: 'eth0',
    });
    assert.equal(cached?.config, network.text);
    const file = await readFile(
      join(dir, 'ipam', 'brt', String(result.ips[0]?.address.split('/')[0])),
      'utf8',
    );
    assert.equal(file, `${attachment.containerId}\r\neth0`);
    await chain.del(attachment, { signal });
  });
});
