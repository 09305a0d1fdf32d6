import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { ContainerRig } from './rig.ts';

const FOREVER = ['sleep', '3600'];

/** Options of a pod whose root is `hostId` outside. */
function mapped(hostId: number, more: { pid?: 'POD' | 'CONTAINER'; network?: 'NODE' } = {}) {
  const mappings = [{ containerId: 0, hostId, length: 65_536 }];
  const usernsOptions = { mode: 'POD', uids: mappings, gids: mappings } as const;
  return { linux: { securityContext: { namespaceOptions: { usernsOptions, ...more } } } };
}

describe('containers in a user namespace', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
    // Their root has to reach the root file systems.
    for (const directory of [tmpdir(), rig.directory]) await chmod(directory, 0o711);
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  /** The root file system of a container, as its first process sees it. */
  const rootOf = async (id: string): Promise<string> => {
    const { info } = await rig.statusResponse(id, true);
    const { pid } = JSON.parse(info['info'] ?? '{}') as { pid: number };
    return `/proc/${pid}/root`;
  };

  it('are root inside and nobody special outside, as are their files', async () => {
    const options = mapped(200_000, { pid: 'CONTAINER' });
    const pod = await rig.runPod('userns', options);
    const id = await rig.run(pod, 'main', FOREVER, options);
    assert.match((await rig.exec(id, ['cat', '/proc/self/uid_map'])).stdout, /^\s+0\s+200000\s+65536\n$/);
    assert.match((await rig.exec(id, ['id'])).stdout, /^uid=0/);
    const root = await rootOf(id);
    assert.equal(statSync(dirname(root)).uid, 200_000);
    assert.equal(statSync(join(root, 'etc/greeting')).uid, 200_000);
    const write = await rig.exec(id, [
      'sh',
      '-c',
      'echo more >> /etc/greeting && cat /etc/greeting /etc/hosts',
    ]);
    assert.match(write.stdout, /^hello\nmore\n/);
    assert.equal(write.exitCode, 0, write.stderr);
    assert.doesNotMatch(await rig.daemon.log(), /Warning/);
  });

  it('have files of several names once, with the owners, modes and times of the image', async () => {
    const image = 'berth.local/test/linked:1';
    const privates = { mode: 0o640, gid: 7 };
    const setuid = { mode: 0o4755 };
    const layer = {
      data: { directory: true },
      'data/first': { content: 'shared\n', ...privates },
      'data/second': { hardLink: 'data/first', ...privates },
      tools: { directory: true },
      'tools/as-root': { content: '', ...setuid },
      'tools/sudo': { hardLink: 'tools/as-root', ...setuid },
      'tools/third': { hardLink: 'data/first', ...privates },
    } as const;
    await rig.importImage(image, { layers: [layer] });
    const options = mapped(200_000, { pid: 'CONTAINER' });
    const pod = await rig.runPod('linked', options);
    const id = await rig.run(pod, 'main', FOREVER, { ...options, image: { image } });
    const root = await rootOf(id);
    const look = (path: string): unknown => {
      const { ino, uid, gid, mode, nlink, mtimeMs } = statSync(join(root, path));
      return { ino, uid, gid, mode: mode & 0o7777, nlink, mtimeMs };
    };
    const { ino } = statSync(join(root, 'data/first'));
    for (const path of ['data/first', 'data/second', 'tools/third']) {
      assert.deepEqual(
        look(path),
        { ino, uid: 200_000, gid: 200_007, mode: 0o640, nlink: 3, mtimeMs: 0 },
        path,
      );
      assert.equal((await rig.exec(id, ['cat', `/${path}`])).stdout, 'shared\n', path);
    }
    const program = statSync(join(root, 'tools/as-root')).ino;
    for (const path of ['tools/as-root', 'tools/sudo'])
      assert.deepEqual(
        look(path),
        { ino: program, uid: 200_000, gid: 200_000, mode: 0o4755, nlink: 2, mtimeMs: 0 },
        path,
      );
    for (const path of ['data', 'tools']) assert.equal(statSync(join(root, path)).mtimeMs, 0, path);
    await rig.removeImage(image);
  });

  it('get the capabilities of the programs of their image', async () => {
    const image = 'berth.local/test/capable:1';
    // Revision 2, effective: CAP_NET_BIND_SERVICE.
    const capabilities = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    // The busybox runs its applets under any name that begins with its own. (containerd gives each name an owner, and so takes the
    // capabilities of the first away: the tar files of images have them at each.)
    const layer = {
      'bin/busybox-server': { content: readFileSync('/bin/busybox'), capabilities },
      'bin/busybox-too': { hardLink: 'bin/busybox-server', capabilities },
    };
    await rig.importImage(image, { config: { User: '1000:1000' }, layers: [layer] });
    const options = mapped(200_000, { pid: 'CONTAINER' });
    const pod = await rig.runPod('capable', options);
    const id = await rig.run(pod, 'main', FOREVER, { ...options, image: { image } });
    const effective = async (program: string): Promise<string | undefined> => {
      const { stdout } = await rig.exec(id, [program, 'cat', '/proc/self/status']);
      return /^CapEff:\s*(\w+)$/m.exec(stdout)?.[1];
    };
    assert.equal(await effective('busybox'), '0000000000000000');
    for (const name of ['busybox-server', 'busybox-too'])
      assert.equal(await effective(name), '0000000000000400', name);
    await rig.removeImage(image);
  });

  it('can open their outputs by name, as many servers do for their logs', async () => {
    const options = mapped(250_000, { pid: 'CONTAINER' });
    const pod = await rig.runPod('outputs', options);
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr';
    const id = await rig.run(pod, 'main', ['sh', '-c', `${script}; sleep 3600`], options);
    // Of two streams nobody knows which is read first.
    await rig.logged(pod, 'main', /^(out\nerr|err\nout)\n$/);
    assert.deepEqual(await rig.exec(id, ['sh', '-c', script]), {
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 0,
    });
  });

  it('own the network, the hostname and the processes of their pod', async () => {
    const options = mapped(300_000);
    const pod = await rig.runPod('owner', options);
    const id = await rig.run(pod, 'main', FOREVER, options);
    const second = await rig.run(pod, 'second', FOREVER, options);
    assert.match((await rig.exec(id, ['cat', '/proc/1/cmdline'])).stdout, /catatonit/);
    const user = async (container: string): Promise<string> =>
      (await rig.exec(container, ['sh', '-c', 'cat /proc/self/uid_map /proc/sys/kernel/hostname'])).stdout;
    assert.equal(await user(id), await user(second));
    assert.match(await user(id), /300000[^]*owner/);
    const { status: pods } = await rig.daemon.client.podStatus(pod.id);
    await rig.base.node.run('ping', '-c1', '-W2', pods?.network?.ip ?? '');
  });

  it("may be on the node's network, with and without a pid namespace of the pod", async () => {
    assert.equal((await rig.daemon.client.status()).features?.userNamespacesHostNetwork, true);
    for (const pid of ['CONTAINER', 'POD'] as const) {
      const options = mapped(200_000, { pid, network: 'NODE' });
      const pod = await rig.runPod(`node-network-${pid.toLowerCase()}`, options);
      const id = await rig.run(pod, 'main', FOREVER, options);
      assert.match((await rig.exec(id, ['cat', '/proc/self/uid_map'])).stdout, /^\s+0\s+200000\s+65536\n$/);
      assert.match((await rig.exec(id, ['cat', '/sys/class/net/lo/address'])).stdout, /^00:00:/);
    }
  });

  it('of two pods with different mappings do not share ids', async () => {
    const outside: number[] = [];
    for (const hostId of [400_000, 500_000]) {
      const options = mapped(hostId, { pid: 'CONTAINER' });
      const pod = await rig.runPod(`pod-${hostId}`, options);
      const id = await rig.run(pod, 'main', FOREVER, options);
      outside.push(statSync(join(await rootOf(id), 'bin/busybox')).uid);
    }
    assert.deepEqual(outside, [400_000, 500_000]);
  });

  it('live on when Berth is killed and started again', async () => {
    const options = mapped(200_000);
    const pod = await rig.runPod('again', options);
    const id = await rig.run(pod, 'main', FOREVER, options);
    await rig.daemon.kill();
    await rig.daemon.start();
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    const later = await rig.run(pod, 'later', FOREVER, options);
    assert.match((await rig.exec(later, ['cat', '/proc/self/uid_map'])).stdout, /200000/);
  });

  it('have a root file system that no garbage collection takes while they are made', async () => {
    const options = mapped(200_000, { pid: 'CONTAINER' });
    const pod = await rig.runPod('collected', options);
    let done = false;
    const collect = async (): Promise<void> => {
      for (let i = 0; !done; i += 1) {
        await rig.ctr('leases', 'create', '--id', `collect-${i}`);
        await rig.ctr('leases', 'delete', '--sync', `collect-${i}`);
      }
    };
    const collecting = collect();
    try {
      for (let i = 0; i < 30; i += 1) await rig.remove(await rig.create(pod, `made-${i}`, FOREVER, options));
    } finally {
      done = true;
      await collecting;
    }
  });

  it('need mappings that are those of their pod', async () => {
    const pod = await rig.runPod('strict', mapped(200_000));
    const code = status.INVALID_ARGUMENT;
    await assert.rejects(rig.create(pod, 'other', FOREVER, mapped(600_000)), { code });
    await assert.rejects(rig.create(pod, 'none', FOREVER), { code });
  });
});
