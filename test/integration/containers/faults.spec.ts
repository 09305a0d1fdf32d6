import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { eventually } from '../../helpers/fixture.ts';
import { tinyImage } from '../containerd/tiny-image.ts';
import { ContainerRig, ends, runs } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

describe('faults of containers', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  describe('a disk that is full while a container is created', () => {
    let containers: string;
    const resize = (size: string): Promise<unknown> =>
      execa('mount', ['-o', `remount,size=${size}`, containers]);

    before(async () => {
      containers = join(rig.directory, 'root', 'containers');
      await execa('mount', ['-t', 'tmpfs', 'records', containers]);
    });

    after(async () => {
      await execa('umount', [containers]);
    });

    it('is told as such, at whatever point, and nothing stays', async () => {
      const pod = await rig.runPod('full');
      const outcomes = new Set<string>();
      for (let kilobytes = 4; kilobytes <= 64; kilobytes += 4) {
        await resize(`${kilobytes}k`);
        const id = await rig.create(pod, 'main', FOREVER, own).catch((error: unknown) => {
          const { code, details } = error as ServiceError;
          assert.equal(code, status.RESOURCE_EXHAUSTED, details);
          assert.match(details, /no space left on device/);
          return undefined;
        });
        outcomes.add(id === undefined ? 'refused' : 'made');
        if (id !== undefined) await rig.remove(id);
        assert.deepEqual(await rig.list(), []);
        await rig.untraced();
      }
      assert.deepEqual([...outcomes], ['refused', 'made']);
    });

    it('by a volume of the image is told as such, too', async () => {
      const name = 'berth.local/test/large:1';
      await rig.importImage(name, {
        config: { Volumes: { '/data': {} } },
        layers: [{ 'data/rows': { content: Buffer.alloc(1 << 20, 'x') } }],
      });
      const pod = await rig.runPod('large');
      await resize('512k');
      await assert.rejects(rig.create(pod, 'main', FOREVER, { ...own, image: { image: name } }), {
        code: status.RESOURCE_EXHAUSTED,
        details: /failed to fill volume "\/data".*No space left on device/s,
      });
      await rig.untraced();
      await resize('64m');
    });
  });

  describe('a disk that takes no records any more', () => {
    let directories: string[];
    const remount = async (mode: 'ro' | 'rw'): Promise<void> => {
      for (const directory of directories) await execa('mount', ['-o', `remount,${mode}`, directory]);
    };

    before(async () => {
      directories = ['containers', 'sandboxes'].map((kind) => join(rig.directory, 'root', kind));
      for (const directory of directories) await execa('mount', ['-t', 'tmpfs', 'records', directory]);
    });

    after(async () => {
      for (const directory of directories) await execa('umount', [directory]);
    });

    afterEach(async () => {
      await remount('rw');
    });

    it('does not hide how a container ended, from the next Berth either', async () => {
      const pod = await rig.runPod('unrecorded');
      const brief = await rig.run(pod, 'brief', ends(5), own);
      const stopped = await rig.run(pod, 'stopped', FOREVER, own);
      await rig.logged(pod, 'brief', /ready/);
      await remount('ro');
      await rig.exec(brief, ['sh', '-c', 'kill -USR1 1']);
      assert.equal((await rig.ended(brief)).exitCode, 5);
      await rig.stop(stopped);
      assert.equal((await rig.status(stopped)).exitCode, 137);
      await rig.daemon.kill();
      await remount('rw');
      await rig.daemon.start();
      assert.equal((await rig.ended(brief)).exitCode, 5);
      assert.equal((await rig.ended(stopped)).exitCode, 137);
    });

    it('has the end of a container once it takes them again', async () => {
      const pod = await rig.runPod('late');
      const id = await rig.run(pod, 'main', ends(6), own);
      await rig.logged(pod, 'main', /ready/);
      const path = join(rig.directory, 'root', 'containers', `${id}.jsonl`);
      await remount('ro');
      await rig.exec(id, ['sh', '-c', 'kill -USR1 1']);
      assert.equal((await rig.ended(id)).exitCode, 6);
      assert.doesNotMatch(readFileSync(path, 'utf8'), /"phase":"exited"/);
      assert.ok((await rig.ctr('tasks', 'ls', '--quiet')).includes(id), 'nobody could tell of the end');
      await remount('rw');
      await eventually('its task is forgotten', async () =>
        (await rig.ctr('tasks', 'ls', '--quiet')).includes(id) ? undefined : true,
      );
      assert.match(readFileSync(path, 'utf8'), /"phase":"exited".*"exitCode":6/);
    });

    it('fails a container alone whose record fails before the engine makes anything', async () => {
      const pod = await rig.runPod('first');
      await execa('mount', ['-o', 'remount,ro', directories[0] ?? '']);
      // The pause process is started meanwhile.
      await assert.rejects(rig.create(pod, 'main', FOREVER), { details: /EROFS/ });
      await remount('rw');
      await rig.create(pod, 'main', FOREVER);
      assert.doesNotMatch(await rig.daemon.log(), /nobody waited/);
    });

    it('does not keep a pod with a pause process from being stopped', async () => {
      const pod = await rig.runPod('paused');
      const id = await rig.run(pod, 'main', FOREVER);
      await remount('ro');
      await rig.daemon.client.stop(pod.id);
      assert.equal((await rig.status(id)).exitCode, 137);
      assert.equal((await rig.daemon.client.podStatus(pod.id)).status?.state, 'SANDBOX_NOTREADY');
      await remount('rw');
      await rig.daemon.client.remove(pod.id);
    });

    it('does not keep Berth from starting with a container of before a reboot', async () => {
      const pod = await rig.runPod('old');
      const id = await rig.run(pod, 'main', FOREVER, own);
      await rig.daemon.kill();
      const path = join(rig.directory, 'root', 'containers', `${id}.jsonl`);
      const record = readFileSync(path, 'utf8');
      await writeFile(path, record.replace(/"bootId":"[^"]+"/, '"bootId":"of-before"'));
      await remount('ro');
      await rig.daemon.start();
      const { state, exitCode } = await rig.status(id);
      assert.deepEqual([state, exitCode], ['CONTAINER_EXITED', 255]);
      assert.match(await rig.daemon.log(), /failed to record a container/);
    });

    it('loses no container that failed and was undone, and the failure is told', async () => {
      const pod = await rig.runPod('lost');
      const [records] = directories;
      // The pod's pause process has to be started first: meanwhile the intent is there and nothing else.
      const failed = assert.rejects(rig.create(pod, 'main', FOREVER), ({ details }: ServiceError) => {
        assert.match(details, /^failed to create container "main_lost_.*\(and was not undone: EROFS/);
        return true;
      });
      await eventually('its intent', () => readdirSync(records!).length > 0 || undefined, 10_000, 1);
      await execa('mount', ['-o', 'remount,ro', records!]);
      await failed;
      const [id = ''] = await rig.list();
      assert.equal((await rig.status(id)).state, 'CONTAINER_UNKNOWN');
      await remount('rw');
      await rig.remove(id);
      assert.deepEqual(readdirSync(records!), []);
    });

    it('lets no container run that could not be recorded as started', async () => {
      const pod = await rig.runPod('unstarted');
      const id = await rig.create(pod, 'main', ['sleep', '4732'], own);
      await remount('ro');
      await assert.rejects(rig.startContainer(id), { details: /read-only file system/ });
      assert.equal(runs('4732'), false);
      const { state, reason } = await rig.status(id);
      assert.deepEqual([state, reason], ['CONTAINER_EXITED', 'StartError']);
    });
  });

  describe('FIFOs of a command that cannot be removed', () => {
    it('are tried again, without containerd going away', async () => {
      const pod = await rig.runPod('held');
      const id = await rig.run(pod, 'main', FOREVER, own);
      const io = join(rig.state, 'io');
      const running = rig.exec(id, ['sh', '-c', 'sleep 1; echo done']);
      const fifos = await eventually('its FIFOs', () =>
        readdirSync(io).find((name) => name.startsWith(`${id}.`)),
      );
      const held = join(io, fifos, 'held');
      await mkdir(held);
      await execa('mount', ['-t', 'tmpfs', 'held', held]);
      try {
        assert.equal((await running).stdout, 'done\n');
        await eventually('it was tried', async () =>
          (await rig.daemon.log()).includes('a command is not ended yet') ? true : undefined,
        );
        assert.ok(existsSync(held));
      } finally {
        await execa('umount', [held]);
      }
      await eventually('they are gone', () => (existsSync(join(io, fifos)) ? undefined : true));
    });
  });

  it('an image for a platform that this one runs besides is run', async function () {
    const architecture = { x64: '386', arm64: 'arm' }[process.arch as string];
    if (architecture === undefined) this.skip();
    const name = 'berth.local/test/besides:1';
    await rig.importImage(name, { architecture });
    const id = await rig.run(await rig.runPod('besides'), 'main', FOREVER, {
      ...own,
      image: { image: name },
    });
    assert.equal((await rig.exec(id, ['cat', '/etc/greeting'])).stdout, 'hello\n');
    await rig.clear();
  });

  it('an image that is there for another platform only is refused by platform', async () => {
    const name = 'berth.local/test/foreign:1';
    const archive = join(rig.directory, 'foreign.tar');
    await writeFile(archive, tinyImage(name, { architecture: 's390x' }).archive);
    await rig.ctr('images', 'import', '--no-unpack', '--all-platforms', archive);
    const pod = await rig.runPod('foreign');
    await assert.rejects(rig.create(pod, 'main', FOREVER, { ...own, image: { image: name } }), {
      code: status.NOT_FOUND,
      details: /no image for platform linux\/\w+ in .*s390x/,
    });
    await rig.untraced();
  });
});
