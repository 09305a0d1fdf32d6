import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cleanup } from '../../helpers/cleanup.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { Scratch } from '../../helpers/fixture.ts';
import { TestDaemon } from '../../helpers/daemon.ts';
import { TestNode } from '../../helpers/node.ts';

/** A meta plugin such as Multus: it passes the result on with one more interface, whose address comes first. */
const meta = `#!/usr/bin/env node
const config = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
if (process.env.CNI_COMMAND === 'ADD') {
  const { interfaces, ips, ...rest } = config.prevResult;
  const more = { name: 'net1', mac: '02:00:00:00:00:99', sandbox: process.env.CNI_NETNS };
  const shifted = ips.map((ip) => ({ ...ip, interface: ip.interface + 1 }));
  const address = { address: '192.0.2.9/24', interface: 0 };
  console.log(JSON.stringify({ ...rest, interfaces: [more, ...interfaces], ips: [address, ...shifted] }));
}
if (process.env.CNI_COMMAND === 'VERSION') {
  console.log(JSON.stringify({ cniVersion: '1.0.0', supportedVersions: ['1.0.0'] }));
}
`;

describe('several networks and interfaces', () => {
  let cleanup: Cleanup;
  let node: TestNode;
  let dir: string;
  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    dir = cleanup.use(await Scratch.create()).path;
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const bridge = (number: number) => ({
    type: 'bridge',
    bridge: `brt${number}`,
    isGateway: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: `10.9${number}.0.0/24` }]], dataDir: join(dir, 'ipam') },
  });
  const list = (name: string, ...plugins: object[]) => ({ cniVersion: '1.0.0', name, plugins });

  it('a pod gets an interface of each network up to max_conf_num, and one primary IP', async () => {
    const networks = {
      '10-a.conflist': list('neta', bridge(1)),
      '20-b.conflist': list('netb', bridge(2)),
      '30-c.conflist': list('netc', bridge(3)),
    };
    const config = { cni: { max_conf_num: 2 } };
    const { client } = cleanup.use(await TestDaemon.start({ node, networks, config }));
    const id = await client.run(podConfig('several'));
    const { status } = await client.podStatus(id);
    assert.equal(status?.network?.ip, '10.91.0.2');
    assert.match(await node.run('ip', '-br', 'link'), /brt1[^]*brt2/);
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /brt3/);
    await client.stop(id);
    await client.remove(id);
  });

  it('a meta plugin that returns one more interface, first in its result, does not change the primary IP', async () => {
    const bin = join(dir, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'meta'), meta);
    await chmod(join(bin, 'meta'), 0o755);
    const networks = { '10-a.conflist': list('neta', bridge(1), { type: 'meta' }) };
    const config = { cni: { bin_dirs: [bin] } };
    const { client } = cleanup.use(await TestDaemon.start({ node, networks, config }));
    const id = await client.run(podConfig('meta'));
    const { status } = await client.podStatus(id);
    assert.equal(status?.network?.ip, '10.91.0.2');
    await client.stop(id);
    await client.remove(id);
  });
});
