import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  fstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listMounts } from '../../../src/kernel/mounts.ts';
import { namespaceJobsModule, Namespaces, SpareStock } from '../../../src/kernel/namespaces.ts';
import { closeSpare } from '../../../src/kernel/pod-namespaces.ts';
import { readSysctl } from '../../../src/kernel/sysctl.ts';
import {
  isNamespace,
  threadNamespace,
  withNamespaces,
  withNetns,
} from '../../../src/kernel/thread-namespaces.ts';
import { ThreadPool } from '../../../src/kernel/threads/pool.ts';
import { eventually } from '../../helpers/fixture.ts';
import { TestNetns } from '../../helpers/netns.ts';

describe("pods' namespaces", () => {
  const pool = new ThreadPool({ name: 'test', size: 2, modules: [namespaceJobsModule] });
  const namespaces = new Namespaces(pool);
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-ns-'));
  });
  afterEach(async () => {
    for (const { target } of listMounts(directory).reverse()) {
      execFileSync('umount', ['-l', target]);
    }
    rmSync(directory, { recursive: true });
  });
  after(() => pool.stop());

  const paths = (): { net: string; ipc: string; uts: string; shm: string } => ({
    net: join(directory, 'pins/net'),
    ipc: join(directory, 'pins/ipc'),
    uts: join(directory, 'pins/uts'),
    shm: join(directory, 'shm'),
  });
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const inside = (flag: string, ...command: string[]): string =>
    execFileSync('nsenter', [flag, ...command], { encoding: 'utf8' }).trim();

  it('are made, pinned and filled in one call', async () => {
    const { net, ipc, uts, shm } = paths();
    const sysctls = {
      'net.ipv4.ip_unprivileged_port_start': '0',
      'kernel.shmmax': '4711',
      'fs.mqueue.queues_max': '99',
    };
    const inodes = await namespaces.create({
      net,
      ipc,
      uts,
      shm,
      hostname: 'my-pod',
      sysctls,
      loopbackUp: true,
    });
    assert.deepEqual(inodes, { net: statSync(net).ino, ipc: statSync(ipc).ino, uts: statSync(uts).ino });
    assert.equal(inside(`--uts=${uts}`, 'hostname'), 'my-pod');
    assert.equal(inside(`--ipc=${ipc}`, 'cat', '/proc/sys/kernel/shmmax'), '4711');
    assert.equal(inside(`--ipc=${ipc}`, 'cat', '/proc/sys/fs/mqueue/queues_max'), '99');
    assert.equal(inside(`--net=${net}`, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'), '0');
    assert.match(inside(`--net=${net}`, 'ip', '-br', 'addr', 'show', 'lo'), /127\.0\.0\.1\/8/);
    const [tmpfs] = listMounts(shm);
    assert.equal(tmpfs?.type, 'tmpfs');
    for (const option of ['nosuid', 'nodev', 'noexec']) {
      assert.ok(tmpfs.options.includes(option), option);
    }
    assert.ok(tmpfs.superOptions.includes('size=65536k'));
    assert.equal(statSync(shm).mode & 0o7777, 0o1777);
    await namespaces.removeAll({ pins: [net, ipc, uts], shm });
    assert.deepEqual([net, ipc, uts].filter(existsSync), []);
    assert.deepEqual(listMounts(directory), []);
  });

  it('leave the host as it was, on every thread', async () => {
    const before = [
      hostname(),
      readSysctl('kernel.shmmax'),
      ...['net', 'ipc', 'uts'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`)),
    ];
    const { net, ipc, uts } = paths();
    await namespaces.create({ net, ipc, uts, hostname: 'my-pod', sysctls: { 'kernel.shmmax': '4711' } });
    for (const task of readdirSync('/proc/self/task')) {
      assert.equal(readlinkSync(`/proc/self/task/${task}/ns/net`), before[2]);
      assert.equal(readlinkSync(`/proc/self/task/${task}/ns/uts`), before[4]);
    }
    assert.deepEqual([hostname(), readSysctl('kernel.shmmax')], before.slice(0, 2));
    await namespaces.removeAll({ pins: [net, ipc, uts] });
  });

  it('are taken from the stock, which makes them in quiet moments and gives each away once', async () => {
    const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 7' };
    const stock = new SpareStock(pool, sysctls, 2);
    assert.equal(stock.take(), undefined);
    const open = descriptors();
    await Promise.all([stock.refill(), stock.refill()]);
    assert.equal(descriptors(), open + 6);
    const spare = stock.take();
    assert.ok(spare !== undefined);
    const { net, ipc, uts, shm } = paths();
    const inodes = await namespaces.create({
      ...{ net, ipc, uts, shm, spare },
      hostname: 'my-pod',
      loopbackUp: true,
      // One that it has, one that it has otherwise, one that it has not.
      sysctls: { ...sysctls, 'net.ipv4.ping_group_range': '1 0', 'kernel.shmmax': '4711' },
    });
    const kinds = ['net', 'ipc', 'uts'] as const;
    assert.deepEqual(inodes, Object.fromEntries(kinds.map((kind) => [kind, fstatSync(spare[kind]).ino])));
    closeSpare(spare);
    assert.equal(inside(`--uts=${uts}`, 'hostname'), 'my-pod');
    assert.equal(inside(`--ipc=${ipc}`, 'cat', '/proc/sys/kernel/shmmax'), '4711');
    assert.equal(inside(`--net=${net}`, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'), '0');
    assert.match(inside(`--net=${net}`, 'cat', '/proc/sys/net/ipv4/ping_group_range'), /^1\s+0$/);
    assert.match(inside(`--net=${net}`, 'ip', '-br', 'addr', 'show', 'lo'), /127\.0\.0\.1\/8/);
    const second = stock.take();
    assert.ok(second !== undefined);
    assert.equal(stock.take(), undefined);
    await stock.refill();
    stock.close();
    closeSpare(second);
    assert.equal(descriptors(), open);
    await namespaces.removeAll({ pins: [net, ipc, uts], shm });
  });

  it('are put in stock again a while after they were taken, and not after the stock was closed', async () => {
    const stock = new SpareStock(pool, {}, 2);
    const open = descriptors();
    stock.refillSoon();
    stock.refillSoon();
    assert.equal(descriptors(), open);
    await eventually('both are in stock', () => (descriptors() === open + 6 ? true : undefined));
    const spare = stock.take();
    assert.ok(spare !== undefined);
    stock.refillSoon();
    stock.close();
    closeSpare(spare);
    assert.equal(descriptors(), open);
    await sleep(100);
    assert.equal(descriptors(), open);
  });

  it('are not put in stock while pods are being made', async () => {
    const stock = new SpareStock(pool, {}, 1);
    const open = descriptors();
    stock.refillSoon();
    // A creation that begins takes one, or finds none.
    assert.equal(stock.take(), undefined);
    await sleep(150);
    assert.equal(descriptors(), open);
    stock.refillSoon();
    await eventually('one is in stock', () => (descriptors() === open + 3 ? true : undefined));
    stock.close();
  });

  it('are undone whole when a late step fails in some from the stock', async () => {
    const stock = new SpareStock(pool, {}, 1);
    await stock.refill();
    const spare = stock.take();
    assert.ok(spare !== undefined);
    const { net, ipc, uts } = paths();
    const sysctls = { 'net.ipv4.no_such_thing': '1' };
    await assert.rejects(namespaces.create({ net, ipc, uts, spare, sysctls }), /no_such_thing/);
    assert.deepEqual(readdirSync(join(directory, 'pins')), []);
    closeSpare(spare);
  });

  it('may be some kinds only', async () => {
    const { ipc } = paths();
    assert.deepEqual(Object.keys(await namespaces.create({ ipc })), ['ipc']);
    assert.deepEqual(await namespaces.create({}), {});
    await namespaces.remove(ipc);
  });

  it('are undone whole when a late step fails', async () => {
    const { net, ipc, uts, shm } = paths();
    const failing = namespaces.create({ net, ipc, uts, shm, sysctls: { 'net.ipv4.no_such_thing': '1' } });
    await assert.rejects(failing, {
      name: 'BerthError',
      code: 'INVALID_ARGUMENT',
      message: /^failed to set sysctl "net.ipv4.no_such_thing" to "1": ENOENT/,
    });
    assert.deepEqual(readdirSync(join(directory, 'pins')), []);
    assert.deepEqual(listMounts(directory), []);
  });

  it('are undone when shm cannot be mounted', async () => {
    const { net } = paths();
    const shm = join(directory, 'file');
    writeFileSync(shm, '');
    await assert.rejects(namespaces.create({ net, shm }), /failed to mount shm/);
    assert.ok(!existsSync(net));
  });

  it('never take the place of a pin that is there', async () => {
    const { net } = paths();
    await namespaces.create({ net });
    const inode = statSync(net).ino;
    await assert.rejects(namespaces.create({ net }), /failed to pin net namespace ".*": EEXIST/);
    assert.equal(statSync(net).ino, inode);
    await namespaces.remove(net);
  });

  it("refuse sysctls, host name and lo of the host's namespaces", async () => {
    const { net } = paths();
    for (const spec of [
      { net, sysctls: { 'kernel.shmmax': '1' } },
      { net, sysctls: { 'vm.swappiness': '1' } },
      { sysctls: { 'net/ipv4/ip_forward': '0' } },
      { net, hostname: 'x' },
      { loopbackUp: true },
    ]) {
      await assert.rejects(namespaces.create(spec), { code: 'INVALID_ARGUMENT' }, JSON.stringify(spec));
    }
    assert.ok(!existsSync(net));
  });

  it('are removed as often as one likes, and whatever is left of them', async () => {
    const { net, ipc, shm } = paths();
    await namespaces.create({ net, shm });
    execFileSync('umount', [net]);
    await namespaces.removeAll({ pins: [net, ipc], shm });
    await namespaces.removeAll({ pins: [net, ipc], shm });
    assert.ok(!existsSync(net));
  });

  it('are removed past a failure, which is reported', async () => {
    const { net } = paths();
    await namespaces.create({ net });
    const stubborn = join(directory, 'pins');
    await assert.rejects(
      namespaces.removeAll({ pins: [stubborn, net] }),
      /failed to remove namespaces: .*pins/,
    );
    assert.ok(!existsSync(net));
  });

  it('are made many at a time', async () => {
    const pins = Array.from({ length: 20 }, (_, index) => join(directory, `net-${index}`));
    const inodes = await Promise.all(pins.map((net) => namespaces.create({ net, loopbackUp: true })));
    assert.equal(new Set(inodes.map(({ net }) => net)).size, 20);
    await Promise.all(pins.map((net) => namespaces.remove(net)));
  });
});

describe('the namespaces of a thread', () => {
  it('are entered and left again, also when the function throws', () => {
    using netns = new TestNetns();
    const before = readlinkSync(threadNamespace('net'));
    const inside = withNetns(netns.path, () => readlinkSync(threadNamespace('net')));
    assert.notEqual(inside, before);
    assert.throws(() => withNetns(netns.path, () => assert.fail('inside')), /inside/);
    assert.equal(readlinkSync(threadNamespace('net')), before);
  });

  it('nest: the way back leads to where one was', () => {
    using outer = new TestNetns();
    using inner = new TestNetns();
    withNetns(outer.path, () => {
      const before = readlinkSync(threadNamespace('net'));
      withNetns(inner.path, () => assert.notEqual(readlinkSync(threadNamespace('net')), before));
      assert.equal(readlinkSync(threadNamespace('net')), before);
    });
  });

  it('are left as they were when one of several cannot be entered', () => {
    using netns = new TestNetns();
    const before = readlinkSync(threadNamespace('net'));
    assert.throws(() => withNamespaces({ net: netns.path, ipc: netns.path }, () => 1), { code: 'EINVAL' });
    assert.equal(readlinkSync(threadNamespace('net')), before);
  });

  it('are no place for asynchronous functions', () => {
    using netns = new TestNetns();
    const asynchronous = (() => Promise.resolve(1)) as unknown as () => number;
    assert.throws(() => withNetns(netns.path, asynchronous), /must not be asynchronous/);
  });

  it('are recognised by path', () => {
    using netns = new TestNetns();
    assert.equal(isNamespace(netns.path), true);
    assert.equal(isNamespace('/proc/self/ns/net'), true);
    assert.equal(isNamespace('/run/netns/brt-absent'), false);
    assert.equal(isNamespace('/etc/hostname'), false);
  });
});
