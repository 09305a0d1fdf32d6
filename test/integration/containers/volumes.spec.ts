import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { eventually } from '../../helpers/fixture.ts';
import { mountsBelow } from '../../helpers/mounts.ts';
import { ContainerRig } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const DATABASE = 'berth.local/test/database:1';
const FILES = 'berth.local/test/files:1';

describe('volumes', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
    await rig.importImage(DATABASE, {
      config: { Volumes: { '/data': {}, 'empty/': {}, '/linked': {}, '/file': {}, '/etc/hosts': {} } },
      layers: [
        {
          'data/': { directory: true, mode: 0o2750, uid: 70, gid: 71 },
          'data/rows': { content: 'one\n', mode: 0o4640, uid: 70, gid: 70 },
          'data/to-etc': { link: '/etc' },
          'elsewhere/': { directory: true },
          'elsewhere/inside': { content: 'of the image\n' },
          linked: { link: '../../../../elsewhere' },
        },
      ],
    });
    await rig.importImage(FILES, {
      layers: [
        { 'lib/': { directory: true }, 'lib/model': { content: 'weights\n' } },
        {
          'sub/deep/': { directory: true },
          'sub/deep/file': { content: 'deep\n' },
          up: { link: '../../../../etc' },
        },
      ],
    });
    for (const directory of [tmpdir(), rig.directory]) await chmod(directory, 0o711);
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  const image = (more: object = {}) => ({
    mounts: [{ containerPath: '/vol', readonly: true, image: { image: FILES }, ...more }],
  });

  describe('that an image declares', () => {
    const database = { image: { image: DATABASE } };

    it('have its content with owners, modes and links, can be written, and end with the container', async () => {
      const pod = await rig.runPod('declared');
      const id = await rig.run(pod, 'main', FOREVER, { ...database, ...own });
      const list = (path: string): Promise<string> => sh(id, `stat -c '%a %u %g %N' ${path}`);
      assert.equal(await list('/data'), '2750 70 71 /data\n');
      assert.equal(await list('/data/rows'), '4640 70 70 /data/rows\n');
      assert.match(await list('/data/to-etc'), /\/etc/);
      assert.equal(await list('/empty'), '755 0 0 /empty\n');
      assert.equal(
        await sh(id, 'cat /linked/inside /etc/hosts >/dev/null; cat /linked/inside'),
        'of the image\n',
      );
      assert.match(await sh(id, 'mount'), / on \/data .*rw/);
      await sh(id, 'echo two >> /data/rows');
      assert.equal(await sh(id, 'cat /data/rows'), 'one\ntwo\n');
      const other = await rig.run(pod, 'other', FOREVER, { ...database, ...own });
      assert.equal(await sh(other, 'cat /data/rows'), 'one\n');
      await rig.remove(id);
      assert.ok(!existsSync(join(rig.directory, 'root', 'containers', id)));
    });

    it('give way to a mount of the request', async () => {
      const pod = await rig.runPod('covered');
      const hostPath = join(rig.directory, 'given');
      await mkdir(hostPath, { recursive: true });
      const mounts = [{ containerPath: '/data/', hostPath }];
      const id = await rig.run(pod, 'main', FOREVER, { ...database, ...own, mounts });
      assert.equal(await sh(id, 'ls /data; touch /data/new'), '');
      assert.deepEqual(readdirSync(hostPath), ['new']);
    });

    it('belong to the ids of the pod’s user namespace', async () => {
      const options = mapped(200_000);
      const pod = await rig.runPod('mapped', options);
      const id = await rig.run(pod, 'main', FOREVER, { ...database, ...options });
      assert.equal(await sh(id, "stat -c '%u %g' /data /empty"), '70 71\n0 0\n');
      assert.equal(await sh(id, 'echo more >> /empty/x && cat /empty/x'), 'more\n');
    });

    it('that are no directory in it are refused by name, and nothing stays', async () => {
      await rig.importImage('berth.local/test/odd:1', {
        config: { Volumes: { '/etc/greeting': {} } },
      });
      const pod = await rig.runPod('odd');
      await assert.rejects(
        rig.create(pod, 'main', FOREVER, { image: { image: 'berth.local/test/odd:1' }, ...own }),
        {
          code: status.FAILED_PRECONDITION,
          details: /volume "\/etc\/greeting" of the image: it is not a directory/,
        },
      );
      await rig.untraced();
    });
  });

  describe('that are images', () => {
    it('are seen read-only by several containers, and are named in their status', async () => {
      const pod = await rig.runPod('image');
      const ids = [
        await rig.run(pod, 'a', FOREVER, { ...image(), ...own }),
        await rig.run(pod, 'b', FOREVER, image()),
      ];
      for (const id of ids) {
        assert.equal(
          await sh(id, 'cat /vol/lib/model /vol/sub/deep/file /vol/etc/greeting'),
          'weights\ndeep\nhello\n',
        );
        assert.notEqual((await rig.exec(id, ['sh', '-c', 'echo x > /vol/lib/model'])).exitCode, 0);
      }
      const [first = '', second = ''] = ids;
      const [mount] = (await rig.status(first)).mounts;
      assert.match(mount?.image?.imageRef ?? '', /sha256:/);
      assert.equal(mount?.hostPath, '');
      await rig.remove(first);
      assert.equal(await sh(second, 'cat /vol/lib/model'), 'weights\n');
    });

    it('of one sub path show that, whatever symlinks are on the way', async () => {
      const pod = await rig.runPod('sub');
      const id = await rig.run(pod, 'a', FOREVER, { ...image({ imageSubPath: 'sub/deep' }), ...own });
      assert.equal(await sh(id, 'ls /vol'), 'file\n');
      const linked = await rig.run(pod, 'b', FOREVER, { ...image({ imageSubPath: 'up' }), ...own });
      assert.equal(await sh(linked, 'cat /vol/greeting'), 'hello\n');
    });

    it('have the ids of the pod’s user namespace', async () => {
      const options = mapped(200_000);
      const pod = await rig.runPod('mapped-image', options);
      const [mapping] = options.linux.securityContext.namespaceOptions.usernsOptions.uids;
      const asked = image({ uidMappings: [mapping], gidMappings: [mapping] });
      const id = await rig.run(pod, 'main', FOREVER, { ...asked, ...options });
      assert.equal(await sh(id, "stat -c '%u' /vol/lib/model; cat /vol/lib/model"), '0\nweights\n');
    });

    it('that cannot be had are refused with the reason that kubelet knows, and nothing stays', async () => {
      const pod = await rig.runPod('refused');
      const bad: [object, number, RegExp][] = [
        [
          { image: { image: 'berth.local/none:1' } },
          status.NOT_FOUND,
          /ImageVolumeMountFailed.*berth.local\/none:1.*not found/,
        ],
        [
          { imageSubPath: 'absent' },
          status.FAILED_PRECONDITION,
          /ImageVolumeMountFailed.*"absent".*no such directory/,
        ],
        [
          { imageSubPath: 'lib/model' },
          status.FAILED_PRECONDITION,
          /ImageVolumeMountFailed.*not a directory/,
        ],
        [
          { imageSubPath: '../../../../../usr/sbin' },
          status.FAILED_PRECONDITION,
          /ImageVolumeMountFailed.*no such directory/,
        ],
        [{ hostPath: '/etc' }, status.INVALID_ARGUMENT, /config\.mounts\[0\]\.host_path/],
        [{ readonly: false }, status.INVALID_ARGUMENT, /config\.mounts\[0\]\.readonly/],
        [{ image: { image: '' } }, status.INVALID_ARGUMENT, /config\.mounts\[0\]\.image\.image/],
        [{ image: null, hostPath: '/etc', imageSubPath: 'x' }, status.INVALID_ARGUMENT, /image_sub_path/],
      ];
      for (const [more, code, details] of bad)
        await assert.rejects(rig.create(pod, 'bad', FOREVER, { ...image(more), ...own }), { code, details });
      await rig.untraced();
    });

    it('are kept while the image is removed and the garbage collected, and end with the sandbox', async () => {
      await rig.importImage('berth.local/test/brief:1', {
        layers: [{ 'brief/file': { content: 'brief\n' } }],
      });
      const pod = await rig.runPod('kept');
      const volume = image({ image: { image: 'berth.local/test/brief:1' } });
      const id = await rig.run(pod, 'main', FOREVER, { ...volume, ...own });
      await rig.removeImage('berth.local/test/brief:1');
      await rig.ctr('content', 'prune', 'references');
      assert.equal(await sh(id, 'cat /vol/brief/file'), 'brief\n');
      assert.match(await rig.ctr('snapshots', 'ls'), new RegExp(`${id}-view-0 .*View`));
      await rig.daemon.client.stop(pod.id);
      await rig.daemon.client.remove(pod.id);
      await rig.untraced();
    });

    it('live on when Berth is killed, and are removed by the next one', async () => {
      const pod = await rig.runPod('again');
      const id = await rig.run(pod, 'main', FOREVER, { ...image(), ...own });
      await rig.daemon.kill();
      await rig.daemon.start();
      assert.equal(
        await eventually('an answer', () => sh(id, 'cat /vol/lib/model').catch(() => undefined)),
        'weights\n',
      );
      await rig.remove(id);
      assert.deepEqual(mountsBelow(join(rig.directory, 'state', 'containers')), []);
    });
  });

  it('of containers that are half-made when Berth is killed, or that no record names, are taken away by the next one', async () => {
    for (const [i, delayMs] of [10, 30, 60].entries()) {
      const pod = await rig.runPod(`half-${i}`);
      const asked = { ...image(), ...own, image: { image: DATABASE } };
      const create = rig.create(pod, 'main', FOREVER, asked).catch(() => undefined);
      await sleep(delayMs);
      await rig.daemon.kill();
      await create;
      await rig.daemon.start();
      await rig.clear();
    }
    const pod = await rig.runPod('lost');
    const id = await rig.create(pod, 'main', FOREVER, { ...image(), ...own });
    await rig.daemon.kill();
    await rm(join(rig.directory, 'root', 'containers', `${id}.jsonl`));
    await rig.daemon.start();
    assert.deepEqual(mountsBelow(join(rig.directory, 'state', 'containers')), []);
    await eventually('containerd has it no more', async () =>
      (await rig.ctr('containers', 'ls', '--quiet')).includes(id) ? undefined : true,
    );
  });

  it("that are the node's /dev leave a container its terminal", async () => {
    const mounts = [{ containerPath: '/dev', hostPath: '/dev' }];
    const pod = await rig.runPod('console');
    const id = await rig.run(pod, 'main', FOREVER, { ...own, mounts, tty: true });
    const { stdout } = await rig.exec(id, ['sh', '-c', 'grep -c " /dev/console devpts " /proc/mounts']);
    assert.equal(stdout, '1\n');
  });

  it('of an image with more layers than mount(2) takes options for', async () => {
    const layers = [...Array(70).keys()].map((n) => ({ [`layers/${n}`]: { content: `${n}\n` } }));
    const many = 'berth.local/test/many:1';
    await rig.importImage(many, {
      config: { Volumes: { '/layers': {} } },
      layers: [...layers, { 'etc/passwd': { content: 'last:x:4711:4712::/:/bin/sh\n' } }],
    });
    const pod = await rig.runPod('many');
    const asUser = { linux: { securityContext: { ...own.linux.securityContext, runAsUsername: 'last' } } };
    const volume = image({ image: { image: many } });
    const id = await rig.run(pod, 'main', FOREVER, { image: { image: many }, ...asUser, ...volume });
    assert.equal(
      await sh(id, 'id -u; ls /layers | wc -l; cat /layers/69 /vol/layers/0'),
      '4711\n70\n69\n0\n',
    );
    assert.equal((await rig.status(id)).imageId.slice(0, 7), 'sha256:');
  });

  async function sh(id: string, script: string): Promise<string> {
    const { stdout, stderr } = await rig.exec(id, ['sh', '-c', script]);
    assert.equal(stderr, '');
    return stdout;
  }
});

/** Options of a pod whose root is `hostId` outside. */
function mapped(hostId: number) {
  const mappings = [{ containerId: 0, hostId, length: 65_536 }];
  const usernsOptions = { mode: 'POD', uids: mappings, gids: mappings } as const;
  return { linux: { securityContext: { namespaceOptions: { usernsOptions, pid: 'CONTAINER' } } } } as const;
}
