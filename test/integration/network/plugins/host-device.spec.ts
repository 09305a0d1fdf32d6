import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callPlugin, callWell } from '../../../helpers/plugin-process.ts';

describe('host-device with devices that cannot be moved', () => {
  let cleanup: Cleanup;
  let host: TestNode;
  let pod: TestNode;
  beforeEach(async () => {
    cleanup = new Cleanup();
    host = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const ip = (node: TestNode, line: string): Promise<string> => node.run('ip', ...line.split(' '));
  const call = (verb: 'ADD' | 'DEL', device: string, netns = pod.path, more: JsonObject = {}) => ({
    verb,
    type: 'host-device',
    netns,
    config: { cniVersion: '1.0.0', name: 'net', type: 'host-device', device, ...more },
  });
  const refusal = async (...args: Parameters<typeof call>): Promise<unknown> => {
    const { exitCode, output } = await callPlugin(host, 'in-process', call(...args));
    assert.equal(exitCode, 1);
    return output?.['msg'];
  };
  /** Name, alias and whether it is up, of all links save lo. */
  const links = async (node: TestNode): Promise<string[]> => {
    const all = JSON.parse(await ip(node, '-j link')) as Record<string, unknown>[];
    return all
      .filter(({ ifname }) => ifname !== 'lo')
      .map(({ ifname, ifalias = '', flags }) => {
        const state = (flags as string[]).includes('UP') ? 'up' : 'down';
        return `${String(ifname)} "${String(ifalias)}" ${state}`;
      });
  };

  for (const alias of ['', 'office']) {
    it(`leaves a bridge with alias "${alias}" up, with its alias and routes`, async () => {
      await ip(host, 'link add br9 up type bridge');
      await host.run('ip', 'link', 'set', 'br9', 'alias', alias);
      await ip(host, 'address add 10.9.0.1/24 dev br9');
      await ip(host, 'route add 10.99.0.0/16 via 10.9.0.7');
      const before = [await links(host), await ip(host, 'route'), await ip(host, '-br address show br9')];
      assert.match(String(before[1]), /10\.9\.0\.0\/24 dev br9 proto kernel/);
      assert.equal(await refusal('ADD', 'br9'), 'failed to move "br9": invalid argument');
      assert.deepEqual(
        [await links(host), await ip(host, 'route'), await ip(host, '-br address show br9')],
        before,
      );
      assert.deepEqual(await links(pod), []);
    });
  }

  /** The name that the device of container c1 waits by on the host. */
  const waiting = 'hdeve7dfb1e8c18';
  const taken = `failed to bring "eth0" back: "up66" already exists on the host, where it waits as "${waiting}"`;
  for (const others of [['up66'], ['up66', 'eth0']]) {
    it(`has a device wait on the host while that has ${others.join(' and ')}, and gives it its name later`, async () => {
      await ip(host, 'link add up66 up type ifb');
      await callWell(host, 'in-process', call('ADD', 'up66'));
      assert.deepEqual([await links(host), await links(pod)], [[], ['eth0 "up66" up']]);
      for (const name of others) await ip(host, `link add ${name} type bridge`);
      const bridges = others.map((name) => `${name} "" down`);
      assert.equal(await refusal('DEL', 'up66'), taken);
      const parted = [[...bridges, `${waiting} "up66" down`].sort(), []];
      assert.deepEqual([(await links(host)).sort(), await links(pod)], parted);
      // The namespace ends with the pod; a debt's DEL has none.
      assert.equal(await refusal('DEL', 'up66', ''), taken);
      assert.deepEqual([(await links(host)).sort(), await links(pod)], parted);
      for (const name of others) await ip(host, `link delete ${name}`);
      await ip(host, `link set ${waiting} up`);
      await callWell(host, 'in-process', call('DEL', 'up66', ''));
      assert.deepEqual([await links(host), await links(pod)], [['up66 "" down'], []]);
      await callWell(host, 'in-process', call('DEL', 'up66', ''));
      assert.deepEqual(await links(host), ['up66 "" down']);
    });
  }

  it('takes a device back that a DEL before has left half way', async () => {
    await ip(host, 'link add up66 up type ifb');
    await callWell(host, 'in-process', call('ADD', 'up66'));
    await pod.run('ip', 'link', 'set', 'eth0', 'down');
    await pod.run('ip', 'link', 'set', 'eth0', 'name', waiting);
    await callWell(host, 'in-process', call('DEL', 'up66'));
    assert.deepEqual([await links(host), await links(pod)], [['up66 "" down'], []]);
  });

  it('leaves a device as it was when the pod gets no address', async () => {
    await ip(host, 'link add up66 up type ifb');
    await host.run('ip', 'link', 'set', 'up66', 'alias', 'office');
    const ipam = { type: 'static', addresses: [{ address: 'none' }] };
    assert.match(String(await refusal('ADD', 'up66', pod.path, { ipam })), /CIDR notation/);
    assert.deepEqual([await links(host), await links(pod)], [['up66 "office" up'], []]);
  });

  it('leaves a device in the container whose alias somebody has made no name', async () => {
    await ip(host, 'link add up66 up type ifb');
    await callWell(host, 'in-process', call('ADD', 'up66'));
    await pod.run('ip', 'link', 'set', 'eth0', 'alias', 'a b');
    assert.equal(
      await refusal('DEL', 'up66'),
      'failed to find original ifname for "eth0" (alias "a b" is no interface name)',
    );
    assert.deepEqual([await links(host), await links(pod)], [[], ['eth0 "a b" up']]);
  });
});

describe('host-device with a device that a driver of user space has', () => {
  const DEVICES = '/sys/bus/pci/devices';
  const device = '0000:00:99.0';

  it('gives addresses alone, and CHECK looks at no interface', async () => {
    await using cleanup = new Cleanup();
    const host = cleanup.use(await TestNode.create());
    const pod = cleanup.use(await TestNode.create());
    const { path } = cleanup.use(await Scratch.create());
    await mkdir(join(path, 'devices', device), { recursive: true });
    await mkdir(join(path, 'vfio-pci'));
    await symlink(join(path, 'vfio-pci'), join(path, 'devices', device, 'driver'));
    await execa('mount', ['--bind', join(path, 'devices'), DEVICES]);
    try {
      const ipam = { type: 'static', addresses: [{ address: '10.9.0.7/24' }] };
      const config = { cniVersion: '1.0.0', name: 'net', type: 'host-device', pciBusID: device, ipam };
      const call = { type: 'host-device', netns: pod.path };
      const prevResult = await callWell(host, 'in-process', { ...call, verb: 'ADD', config });
      assert.deepEqual(prevResult?.['interfaces'], [{ name: 'eth0', sandbox: pod.path }]);
      const after = { ...config, prevResult };
      await callWell(host, 'in-process', { ...call, verb: 'CHECK', config: after });
      const without = await callPlugin(host, 'in-process', { ...call, verb: 'CHECK', config });
      assert.equal(without.output?.['msg'], 'Required prevResult missing');
      await callWell(host, 'in-process', { ...call, verb: 'DEL', config: after });
    } finally {
      await execa('umount', [DEVICES]);
    }
  });
});
