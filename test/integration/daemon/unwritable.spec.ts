import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import type { ContainerEventResponse__Output } from '../../../src/gen/runtime/v1/ContainerEventResponse.ts';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';
import { refuseWrites } from '../../helpers/mounts.ts';
import { pretendReboot } from '../../helpers/reboot.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';

interface Conflist {
  plugins: Record<string, unknown>[];
}

/** A directory that nothing was put into yet may not be there. */
function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

describe('a disk that takes no records any more', () => {
  let rig: Rig;
  let scratch: Scratch;
  let plugin: Awaited<ReturnType<typeof scriptedPlugin>>;

  beforeEach(async () => {
    scratch = await Scratch.create();
    plugin = await scriptedPlugin(scratch.path, 'shaky');
    const list = bridgeNetwork(scratch.path) as Conflist;
    rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins: [...list.plugins, { type: 'shaky' }] } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
  });

  afterEach(async () => {
    await rig[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  function unwritable(...places: string[]): Promise<() => Promise<void>> {
    return refuseWrites(places.map((place) => join(rig.daemon.directory, 'root', place)));
  }

  /** What there is, by place; empty when nothing is. */
  function left(): Record<string, string[]> {
    const { directory } = rig.daemon;
    const places = ['root/sandboxes', 'state/sandboxes', 'netns', 'cni/results', 'root/debts'];
    const found: [string, string[]][] = places.map((place) => [place, entries(join(directory, place))]);
    const addresses = entries(join(scratch.path, 'ipam/berth-test')).filter((name) => /^\d+\./.test(name));
    found.push(['addresses', addresses]);
    return Object.fromEntries(found.filter(([, list]) => list.length > 0));
  }

  it('does not keep a pod from being stopped', async () => {
    const { daemon } = rig;
    const id = await daemon.client.run(podConfig('full'));
    const mend = await unwritable('sandboxes');
    await daemon.client.stop(id);
    assert.equal((await daemon.client.podStatus(id)).status?.state, 'SANDBOX_NOTREADY');
    assert.deepEqual(left()['netns'], undefined);
    await daemon.kill();
    await mend();
    await daemon.start();
    assert.equal((await daemon.client.podStatus(id)).status?.state, 'SANDBOX_NOTREADY');
    await daemon.client.clear();
    await eventually('nothing is left', () => (Object.keys(left()).length === 0 ? true : undefined));
  });

  it('loses no event of a pod whose first Stop fails', async () => {
    const { client } = rig.daemon;
    const id = await client.run(podConfig('debtor'));
    const seen: string[] = [];
    const stream = client.runtime.getContainerEvents({});
    stream.on('data', (event: ContainerEventResponse__Output) => seen.push(event.containerEventType));
    stream.on('error', () => undefined);
    await plugin.on('del', 'exit 1');
    const mend = await unwritable('debts');
    await assert.rejects(client.stop(id), { details: /EROFS/ });
    await mend();
    await plugin.on('del', '');
    await client.stop(id);
    await client.remove(id);
    await eventually('it is removed', () => seen.includes('CONTAINER_DELETED_EVENT') || undefined);
    stream.cancel();
    assert.equal(seen.filter((type) => type === 'CONTAINER_STOPPED_EVENT').length, 1);
  });

  it('fails a pod alone whose result cannot be cached', async () => {
    const { client, directory } = rig.daemon;
    await client.remove(await client.run(podConfig('before')));
    const mend = await refuseWrites([join(directory, 'cni/results')]);
    // It takes its time after the network is attached.
    const sysctls = { 'net.ipv4.conf.eth0.forwarding': '1' };
    await assert.rejects(client.run(podConfig('full', { linux: { sysctls } })), {
      details: /network "berth-test" cached result: EROFS/,
    });
    await mend();
    // That no file is there could not be told apart from that it cannot be removed.
    await eventually('nothing is left', () => (Object.keys(left()).length === 0 ? true : undefined));
    await client.remove(await client.run(podConfig('full')));
    assert.doesNotMatch(await rig.daemon.log(), /nobody waited/);
  });

  it('does not keep Berth from starting when image volumes of a container without a record cannot be removed', async () => {
    const { daemon } = rig;
    const containers = join(daemon.directory, 'state/containers');
    await daemon.kill();
    await mkdir(join(containers, 'lost/0'), { recursive: true });
    const mend = await refuseWrites([containers]);
    await daemon.start();
    assert.match(await daemon.log(), /EROFS[^\n]*failed to remove the mounts/);
    await daemon.kill();
    await mend();
    await daemon.start();
    assert.deepEqual(entries(containers), []);
  });

  it('does not keep Berth from starting after a reboot: what it could not do, Stop does once it can', async () => {
    const { daemon } = rig;
    const ids = [await daemon.client.run(podConfig('a')), await daemon.client.run(podConfig('b'))];
    await daemon.kill();
    await pretendReboot(daemon.directory, ids);
    const records = join(daemon.directory, 'root/sandboxes');
    await appendFile(join(records, `${ids[0]}.jsonl`), '{"phase":"rea');
    await writeFile(join(records, 'gone.spec.json'), '{}');
    await writeFile(join(daemon.directory, 'root/debts/torn.json'), '{"id": "to');
    const mend = await unwritable('');
    await daemon.start();
    for (const id of ids) {
      const { status, info } = await daemon.client.podStatus(id, true);
      assert.equal(status?.state, 'SANDBOX_NOTREADY');
      assert.match((JSON.parse(info['info'] ?? '') as { reason: string }).reason, /^recovery: EROFS/);
    }
    await mend();
    for (const id of ids) {
      await daemon.client.stop(id);
      await daemon.client.remove(id);
    }
    assert.deepEqual(left(), { 'root/sandboxes': ['gone.spec.json'], 'root/debts': ['torn.json'] });
  });

  for (const [what, places, del, reason] of [
    ['and whose DEL cannot be owed', ['sandboxes', 'debts'], 'exit 1', 'network: '],
    ['and was undone', ['sandboxes'], '', 'record: '],
  ] as const) {
    it(`loses no pod that failed ${what}, and the failure is told`, async () => {
      const { client } = rig.daemon;
      const go = join(scratch.path, 'go');
      await plugin.on('add', `until [ -e ${go} ]; do sleep 0.05; done; exit 3`);
      await plugin.on('del', del);
      const failed = assert.rejects(client.run(podConfig('lost')), ({ details }: ServiceError) => {
        assert.match(details, /^failed to run sandbox "default\/lost": failed to setup network /);
        assert.ok(details.includes(`(and was not undone: ${reason}`), details);
        return true;
      });
      await eventually('ADD was called', () => entries(scratch.path).includes('shaky.calls') || undefined);
      const mend = await unwritable(...places);
      await writeFile(go, '');
      await failed;
      const [sandbox] = await client.list();
      assert.equal(sandbox?.state, 'SANDBOX_NOTREADY');
      assert.match(await rig.daemon.log(), /failed to record a sandbox/);
      await mend();
      await plugin.on('del', '');
      await client.stop(sandbox.id);
      await client.remove(sandbox.id);
      assert.deepEqual(left(), {});
    });
  }
});
