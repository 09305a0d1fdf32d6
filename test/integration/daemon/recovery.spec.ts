import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { findProcesses } from '../../../src/containerd/embedded/process.ts';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';
import { runIn } from '../../helpers/node.ts';
import { pretendReboot } from '../../helpers/reboot.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';

interface Conflist {
  plugins: Record<string, unknown>[];
}

function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/** A daemon whose chain ends with a scripted plugin, to be killed in the middle of things. */
class Crashing implements AsyncDisposable {
  readonly rig: Rig;
  readonly scratch: Scratch;
  readonly plugin: Awaited<ReturnType<typeof scriptedPlugin>>;

  private constructor(rig: Rig, scratch: Scratch, plugin: Awaited<ReturnType<typeof scriptedPlugin>>) {
    this.rig = rig;
    this.scratch = scratch;
    this.plugin = plugin;
  }

  /** The plugins of the network, and `others`, then the scripted one. */
  static async start(...others: Record<string, unknown>[]): Promise<Crashing> {
    const scratch = await Scratch.create();
    const plugin = await scriptedPlugin(scratch.path, 'shaky');
    const list = bridgeNetwork(scratch.path) as Conflist;
    const rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins: [...list.plugins, ...others, { type: 'shaky' }] } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    return new Crashing(rig, scratch, plugin);
  }

  reserved(): string[] {
    return entries(join(this.scratch.path, 'ipam/berth-test')).filter((name) => /^\d+\./.test(name));
  }

  /** What is left of sandboxes, by place; empty when nothing is. */
  left(): Record<string, string[]> {
    const { directory } = this.rig.daemon;
    const places = ['root/sandboxes', 'state/sandboxes', 'netns', 'cni/results', 'root/debts'];
    const found: [string, string[]][] = places.map((place) => [place, entries(join(directory, place))]);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory));
    found.push(['addresses', this.reserved()], ['mounts', mounts]);
    return Object.fromEntries(found.filter(([, list]) => list.length > 0));
  }

  /** Waits until a call of the plugin is under way; returns its line. */
  called(verb: string, times = 1): Promise<true> {
    return eventually(`${verb} was called`, () => {
      const path = join(this.scratch.path, 'shaky.calls');
      const calls = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
      return calls.filter((line) => line.startsWith(`${verb} `)).length >= times ? true : undefined;
    });
  }

  /** Waits until the plugin that runs stands in the sandbox's record: a Berth that is killed before that leaves it to itself. */
  processRecorded(pid = ''): Promise<true> {
    return eventually('its pid is recorded', async () => {
      const root = join(this.rig.daemon.directory, 'root/sandboxes');
      const record = await readFile(join(root, entries(root)[0] ?? ''), 'utf8').catch(() => '');
      return record.trimEnd().split('\n').at(-1)?.includes(`"pid":${pid}`) ? true : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** A process that has ended may stay a zombie until its new parent looks. */
function isRunning(pid: string): boolean {
  const status = existsSync(`/proc/${pid}/status`)
    ? readFileSync(`/proc/${pid}/status`, 'utf8')
    : 'State:\tZ';
  return !/^State:\tZ/m.test(status);
}

async function ready(rig: Rig): Promise<void> {
  await eventually('NetworkReady', async () => {
    const { status } = await rig.daemon.client.status();
    return status?.conditions.find(({ type }) => type === 'NetworkReady')?.status === true ? true : undefined;
  });
}

describe('after kill -9', () => {
  it('READY pods keep their IP, their reachability and their names', async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    const ids = [await daemon.client.run(podConfig('a')), await daemon.client.run(podConfig('b'))];
    const before = await Promise.all(ids.map((id) => daemon.client.podStatus(id)));
    await daemon.kill();
    await daemon.start();
    const after = await Promise.all(ids.map((id) => daemon.client.podStatus(id)));
    assert.deepEqual(
      after.map((a) => a.status),
      before.map((b) => b.status),
    );
    await rig.node.run('ping', '-c1', '-W2', after[0]?.status?.network?.ip ?? '');
    assert.equal(await daemon.client.run(podConfig('a')), ids[0]);
    await daemon.client.clear();
    for (const place of ['root/sandboxes', 'state/sandboxes', 'netns']) {
      assert.deepEqual(readdirSync(join(daemon.directory, place)), [], place);
    }
  });

  it('in the middle of an ADD, the plugin that runs is ended, everything is undone, and a retry works', async () => {
    await using crashing = await Crashing.start();
    const { rig, plugin, scratch } = crashing;
    // Its arguments tell it from every other sleep on the machine.
    const nap = `sleep 300.${randomInt(1_000_000)}`;
    await plugin.on('add', `echo $$ > ${scratch.path}/pid; ${nap} & wait`);
    const lost = rig.daemon.client.run(podConfig('half'));
    lost.catch(() => undefined);
    await crashing.called('ADD');
    const pid = await eventually('the pid is written', () => {
      const path = join(scratch.path, 'pid');
      return existsSync(path) ? readFileSync(path, 'utf8').trim() || undefined : undefined;
    });
    await crashing.processRecorded(pid);
    await rig.daemon.kill();
    await assert.rejects(lost);
    assert.equal(crashing.reserved().length, 1);
    await plugin.on('add', '');
    await rig.daemon.start();
    await ready(rig);
    assert.deepEqual(crashing.left(), {});
    await eventually('the plugin has ended', () => (isRunning(pid) ? undefined : true));
    await eventually('the child of the plugin has ended', () =>
      findProcesses((argv) => argv.join(' ') === nap).length === 0 ? true : undefined,
    );
    await rig.daemon.client.run(podConfig('half'));
  });

  it('in the middle of an ADD, rules that carry no more than an address go, and a debt withholds the address', async () => {
    await using crashing = await Crashing.start({ type: 'firewall', backend: 'iptables' });
    const { rig, plugin } = crashing;
    const debts = join(rig.daemon.directory, 'root/debts');
    await plugin.on('add', 'exec sleep 300');
    const lost = rig.daemon.client.run(podConfig('half'));
    lost.catch(() => undefined);
    await crashing.called('ADD');
    await crashing.processRecorded();
    await rig.daemon.kill();
    const [address = ''] = crashing.reserved();
    assert.ok((await rig.node.run('iptables', '-S', 'CNI-FORWARD')).includes(`-s ${address}/32`));
    await plugin.on('del', 'exit 1');
    await rig.daemon.start();
    await ready(rig);
    assert.doesNotMatch(await rig.node.run('iptables', '-S', 'CNI-FORWARD'), /10\.97\./);
    const owed = entries(debts).map((name) => JSON.parse(readFileSync(join(debts, name), 'utf8')) as unknown);
    assert.deepEqual(
      owed.map((debt) => (debt as { addresses: string[] }).addresses),
      [[address]],
    );
    await plugin.on('del', '');
    await eventually('the debt is paid', () => (entries(debts).length === 0 ? true : undefined));
    assert.deepEqual(crashing.left(), {});
  });

  it('what is being undone is undone before SIGTERM ends the next one', async () => {
    await using crashing = await Crashing.start();
    const { rig, plugin } = crashing;
    await plugin.on('add', 'sleep 300');
    const lost = rig.daemon.client.run(podConfig('half'));
    lost.catch(() => undefined);
    await crashing.called('ADD');
    await crashing.processRecorded();
    await rig.daemon.kill();
    await plugin.on('del', 'sleep 1');
    await rig.daemon.start();
    await crashing.called('DEL');
    assert.equal(await rig.daemon.stop(), 0);
    assert.deepEqual(crashing.left(), {});
    assert.doesNotMatch(await rig.daemon.log(), /"level":"error"/);
  });

  it('in the middle of a DEL, the Stop is finished: NOTREADY, nothing left but the record', async () => {
    await using crashing = await Crashing.start();
    const { rig, plugin } = crashing;
    const id = await rig.daemon.client.run(podConfig('stopping'));
    await plugin.on('del', 'sleep 300');
    const lost = rig.daemon.client.stop(id);
    lost.catch(() => undefined);
    await crashing.called('DEL');
    await crashing.processRecorded();
    await rig.daemon.kill();
    await plugin.on('del', '');
    await rig.daemon.start();
    const { status } = await rig.daemon.client.podStatus(id);
    assert.equal(status?.state, 'SANDBOX_NOTREADY');
    await ready(rig);
    assert.deepEqual(crashing.left(), { 'root/sandboxes': [`${id}.jsonl`] });
    await rig.daemon.client.remove(id);
    assert.deepEqual(crashing.left(), {});
  });

  for (const step of ['writeIntent', 'namespaces']) {
    it(`right after ${step}, nothing is left`, async () => {
      await using crashing = await Crashing.start();
      const { rig } = crashing;
      const id = await rig.daemon.client.run(podConfig('torn'));
      await rig.daemon.kill();
      // What a crash at that step leaves: the intent, and no state or a torn one.
      const record = join(rig.daemon.directory, `root/sandboxes/${id}.jsonl`);
      const [intent = ''] = readFileSync(record, 'utf8').split('\n');
      await writeFile(record, `${intent}\n${step === 'namespaces' ? '{"phase":"crea' : ''}`);
      await rig.daemon.start();
      await ready(rig);
      assert.deepEqual(crashing.left(), {});
    });
  }

  it('a READY pod whose namespace somebody removed is NOTREADY and its address free', async () => {
    await using crashing = await Crashing.start();
    const { rig } = crashing;
    const id = await rig.daemon.client.run(podConfig('robbed'));
    await rig.daemon.kill();
    const [name = ''] = readdirSync(join(rig.daemon.directory, 'netns'));
    await execa('umount', [join(rig.daemon.directory, 'netns', name)]);
    await rig.daemon.start();
    await ready(rig);
    const { status, info } = await rig.daemon.client.podStatus(id, true);
    assert.equal(status?.state, 'SANDBOX_NOTREADY');
    assert.match((JSON.parse(info['info'] ?? '') as { reason: string }).reason, /namespaces are gone/);
    assert.deepEqual(crashing.left(), { 'root/sandboxes': [`${id}.jsonl`] });
  });

  it('what is left of a pod whose record somebody removed goes, and garbage collection frees its address', async () => {
    await using crashing = await Crashing.start();
    const { rig } = crashing;
    const { client, directory, socket } = rig.daemon;
    const id = await client.run(podConfig('unrecorded'));
    const kept = await client.run(podConfig('recorded'));
    await rig.daemon.kill();
    await rm(join(directory, `root/sandboxes/${id}.jsonl`));
    await rig.daemon.start();
    await ready(rig);
    assert.deepEqual(entries(join(directory, 'state/sandboxes')), [kept]);
    assert.equal(entries(join(directory, 'netns')).length, 1);
    assert.equal((await rig.daemon.client.podStatus(kept)).status?.state, 'SANDBOX_READY');
    await rig.daemon.client.remove(kept);
    const main = new URL('../../../src/main.js', import.meta.url).pathname;
    await execa(process.execPath, [main, 'net', 'gc', '--address', socket]);
    assert.deepEqual(crashing.left(), {});
  });

  it('a record that this version makes no sense of is left alone, and keeps no other from being recovered', async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    const [strange, kept] = [
      await daemon.client.run(podConfig('strange')),
      await daemon.client.run(podConfig('kept')),
    ];
    await daemon.kill();
    const path = join(daemon.directory, `root/sandboxes/${strange}.jsonl`);
    const known = await readFile(path, 'utf8');
    for (const line of ['{"phase":"frozen"}', '{"phase":"ready","results":7}']) {
      await writeFile(path, `${known}${line}\n`);
      await daemon.start();
      const listed = (await daemon.client.list()).map(({ id }) => id);
      assert.ok(listed.includes(kept), line);
      assert.equal(await readFile(path, 'utf8'), `${known}${line}\n`);
      await daemon.kill();
    }
    await writeFile(path, known);
    await daemon.start();
    assert.deepEqual((await daemon.client.list()).map(({ id }) => id).sort(), [strange, kept].sort());
    await daemon.client.clear();
  });

  it('leaves alone what no record of ours names', async () => {
    await using crashing = await Crashing.start();
    const { rig, scratch } = crashing;
    const id = await rig.daemon.client.run(podConfig('ours'));
    const foreign = join(scratch.path, 'ipam/berth-test/10.97.7.7');
    await writeFile(foreign, 'somebody-else\r\neth0');
    const cached = join(rig.daemon.directory, 'cni/results/berth-test-somebody-else-eth0');
    await writeFile(
      cached,
      '{"kind":"cniCacheV1","containerId":"somebody-else","networkName":"berth-test","ifName":"eth0"}',
    );
    await rig.daemon.kill();
    await rig.daemon.start();
    await ready(rig);
    await rig.daemon.client.remove(id);
    assert.ok(existsSync(foreign));
    assert.ok(existsSync(cached));
  });
});

describe('after a reboot', () => {
  it('pods are NOTREADY, their addresses are free before NetworkReady, and foreign ones are untouched', async () => {
    await using crashing = await Crashing.start();
    const { rig, scratch } = crashing;
    const ids: string[] = [];
    for (let i = 0; i < 20; i += 1) ids.push(await rig.daemon.client.run(podConfig(`old-${i}`)));
    const foreign = join(scratch.path, 'ipam/berth-test/10.97.7.7');
    await writeFile(foreign, 'somebody-else\r\neth0');
    await rig.daemon.kill();
    await pretendReboot(rig.daemon.directory, ids);
    await rig.daemon.start();
    await ready(rig);
    assert.deepEqual(crashing.reserved(), ['10.97.7.7']);
    assert.deepEqual(entries(join(rig.daemon.directory, 'root/debts')), []);
    for (const { state } of await rig.daemon.client.list()) assert.equal(state, 'SANDBOX_NOTREADY');
    const fresh = await rig.daemon.client.run(
      podConfig('old-0', { metadata: { name: 'old-0', namespace: 'default', uid: 'old-0-uid', attempt: 1 } }),
    );
    assert.match((await rig.daemon.client.podStatus(fresh)).status?.network?.ip ?? '', /^10\.97\./);
    for (const id of ids) {
      await rig.daemon.client.stop(id);
      await rig.daemon.client.remove(id);
    }
    assert.deepEqual(
      (await rig.daemon.client.list()).map((sandbox) => sandbox.id),
      [fresh],
    );
    const netns = join(
      rig.daemon.directory,
      'netns',
      readdirSync(join(rig.daemon.directory, 'netns'))[0] ?? '',
    );
    await runIn(netns, 'ip', 'addr', 'show', 'eth0');
  }).timeout(120_000);
});

describe('after a power loss that has cut a network configuration off', () => {
  it('new pods come to the network that the old ones were on, not to the next file', async () => {
    await using rig = await Rig.start();
    const { confDir, directory } = rig.daemon;
    const id = await rig.daemon.client.run(podConfig('old'));
    await rig.daemon.kill();
    const other = { ...(bridgeNetwork(directory, '10.98.0.0/16') as object), name: 'other' };
    await writeFile(join(confDir, '90-other.conflist'), JSON.stringify(other));
    await truncate(join(confDir, '10-test.conflist'), 20);
    await pretendReboot(directory, [id]);
    await rig.daemon.start();
    await ready(rig);
    const next = await rig.daemon.client.run(podConfig('new'));
    const { status: pod } = await rig.daemon.client.podStatus(next);
    assert.match(pod?.network?.ip ?? '', /^10\.97\./);
  });
});
