import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { podConfig } from '../../helpers/cri-client.ts';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';
import { berth } from '../cli/run-main.ts';

interface Conflist {
  plugins: Record<string, unknown>[];
}

/** Waits until the condition NetworkReady is so, and for this reason; returns its message. */
function networkReady(rig: Rig, isReady: boolean, reason?: string): Promise<string> {
  return eventually(`NetworkReady is ${isReady} ${reason ?? ''}`, async () => {
    const { status } = await rig.daemon.client.status();
    const condition = status?.conditions.find(({ type }) => type === 'NetworkReady');
    const isSo = condition?.status === isReady && (reason === undefined || condition.reason === reason);
    return isSo ? condition.message : undefined;
  });
}

describe('a network older than STATUS and GC', () => {
  let scratch: Scratch;
  beforeEach(async () => {
    scratch = await Scratch.create();
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  it('stays ready while its built-in IPAM has no address left, and says so', async () => {
    const network = bridgeNetwork(scratch.path, '10.97.0.0/30');
    await using rig = await Rig.start({ networks: { '10-old.conflist': network } });
    await networkReady(rig, true);
    const id = await rig.daemon.client.run(podConfig('only'));
    const message = await networkReady(rig, true, 'IPAddressesExhausted');
    assert.match(message, /no IP addresses available in range set 0: 10\.97\.0\.1-10\.97\.0\.2 /);
    await rig.daemon.client.remove(id);
    await networkReady(rig, true, '');
  });

  it('is not ready until flanneld has written its file', async () => {
    const subnetFile = join(scratch.path, 'subnet.env');
    const plugins = [{ type: 'flannel', subnetFile, dataDir: scratch.path, ipam: { dataDir: scratch.path } }];
    const network = { cniVersion: '0.3.1', name: 'cbr0', plugins };
    await using rig = await Rig.start({ networks: { '10-flannel.conflist': network } });
    assert.match(await networkReady(rig, false), /subnet\.env.*\(code 50\)/);
    const env = { NETWORK: '10.244.0.0/16', SUBNET: '10.244.1.1/24', MTU: '1450', IPMASQ: 'true' };
    const lines = Object.entries(env).map(([key, value]) => `FLANNEL_${key}=${value}\n`);
    await writeFile(subnetFile, lines.join(''));
    await networkReady(rig, true);
  });

  it('has reservations collected that nobody has, but none of another runtime; executables are not asked', async () => {
    await scriptedPlugin(scratch.path, 'shaky');
    const list = bridgeNetwork(scratch.path) as Conflist;
    await using rig = await Rig.start({
      networks: { '10-old.conflist': { ...list, plugins: [list.plugins[0], { type: 'shaky' }] } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client, directory, socket } = rig.daemon;
    await client.run(podConfig('living'));
    const reservations = join(scratch.path, 'ipam/berth-test');
    const results = join(directory, 'cni/results');
    const [file = ''] = await readdir(results);
    const entry = JSON.parse(await readFile(join(results, file), 'utf8')) as object;
    const foreign = { ...entry, containerId: 'foreign', netns: '/run/netns/cni-gone' };
    await writeFile(join(results, 'berth-test-foreign-eth0'), JSON.stringify(foreign));
    await writeFile(join(reservations, '10.97.0.50'), 'foreign\r\neth0');
    await writeFile(join(reservations, '10.97.0.51'), 'lost\r\neth0');
    const looked = await berth(['net', 'gc', '--dry-run', '--address', socket]);
    assert.match(looked.stdout, /\nberth-test +lost +eth0 +would be collected: address 10\.97\.0\.51\n/);
    assert.ok(existsSync(join(reservations, '10.97.0.51')));
    const { code, stdout } = await berth(['net', 'gc', '--address', socket]);
    assert.equal(code, 0, stdout);
    const left = readdirSync(reservations).filter((name) => /^\d+\./.test(name));
    assert.deepEqual(left.sort(), ['10.97.0.2', '10.97.0.50']);
    const calls = readFileSync(join(scratch.path, 'shaky.calls'), 'utf8');
    assert.doesNotMatch(calls, /^(GC|STATUS) /m);
  });
});
