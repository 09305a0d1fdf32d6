import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, imageName } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const COUNT = ['sh', '-c', 'echo data > /written; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done'];

describe('a checkpoint of a container', () => {
  let rig: ContainerRig;
  let directory: string;

  before(async () => {
    rig = await ContainerRig.start();
    directory = join(rig.directory, 'checkpoints');
    await mkdir(directory);
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  it('is an archive of its processes, its files and what it was; without a CRIU that works the error says so', async () => {
    const pod = await rig.runPod('saved');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    const location = join(directory, 'saved.tar');
    const criu = await stateOfCriu();
    const outcome = await rig.checkpoint(id, location).catch((error: unknown) => error as ServiceError);
    if (criu === 'works') {
      assert.equal(outcome, undefined);
      await checkArchive(location, id);
    } else {
      assert.equal(outcome?.code, criu === 'absent' ? status.FAILED_PRECONDITION : status.UNKNOWN);
      assert.match(outcome.details, criu === 'absent' ? /criu is not installed/ : /criu/i);
      assert.deepEqual(readdirSync(directory), []);
    }
    assert.ok(!existsSync(join(rig.directory, 'root', 'containers', id, 'checkpoint')));
    assert.doesNotMatch(await rig.ctr('snapshots', 'ls'), /-parent-/);
    await eventually('its lease has ended', async () =>
      (await rig.ctr('leases', 'ls', '--quiet')) === '' ? true : undefined,
    );
    // It goes on in any case.
    const last = Number(rig.logText(pod, 'count').trim().split('\n').at(-1));
    await rig.logged(pod, 'count', new RegExp(`^${last + 10}$`, 'm'));
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });

  it('that was cut off leaves no container standing still', async () => {
    const pod = await rig.runPod('cut');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    await rig.daemon.kill();
    await rig.ctr('tasks', 'pause', id);
    await rig.daemon.start();
    const last = Number(rig.logText(pod, 'count').trim().split('\n').at(-1));
    await rig.logged(pod, 'count', new RegExp(`^${last + 10}$`, 'm'));
  });

  it('needs a running container and a file to write to', async () => {
    const pod = await rig.runPod('refused');
    const id = await rig.run(pod, 'main', ['sleep', '3600'], own);
    const bad: [string, RegExp][] = [
      ['', /location.*empty/],
      ['relative.tar', /location.*absolute/],
      [directory, /location.*not the path of a file/],
      [join(directory, 'absent', 'a.tar'), /location.*no such file or directory/],
    ];
    for (const [location, details] of bad)
      await assert.rejects(rig.checkpoint(id, location), { code: status.INVALID_ARGUMENT, details });
    await assert.rejects(rig.checkpoint(id, join(directory, 'a.tar'), -1), { code: status.INVALID_ARGUMENT });
    await assert.rejects(rig.checkpoint('0'.repeat(64), join(directory, 'a.tar')), {
      code: status.NOT_FOUND,
    });
    await rig.stop(id);
    await assert.rejects(rig.checkpoint(id, join(directory, 'a.tar')), {
      code: status.FAILED_PRECONDITION,
      details: /exited, not running/,
    });
  });

  async function checkArchive(location: string, id: string): Promise<void> {
    const tar = async (...args: string[]): Promise<string> =>
      (await execa('tar', ['--extract', '--to-stdout', '--file', location, ...args])).stdout;
    const names = (await execa('tar', ['--list', '--file', location])).stdout.split('\n');
    for (const name of ['config.dump', 'spec.dump', 'status.dump', 'stats-dump', 'dump.log', 'container.log'])
      assert.ok(names.includes(name), name);
    assert.ok(names.includes('checkpoint/inventory.img'), names.join(' '));
    const config = JSON.parse(await tar('config.dump')) as Record<string, string>;
    assert.equal(config['id'], id);
    assert.equal(config['rootfsImage'], imageName);
    assert.equal(config['runtime'], 'io.containerd.runc.v2');
    const saved = JSON.parse(await tar('status.dump')) as { state: number; image: { image: string } };
    assert.deepEqual([saved.state, saved.image.image], [1, imageName]);
    const spec = JSON.parse(await tar('spec.dump')) as { process: { args: string[] } };
    assert.deepEqual(spec.process.args, COUNT);
    const { stdout } = await execa(
      'tar',
      ['--extract', '--to-stdout', '--file', location, 'rootfs-diff.tar'],
      {
        encoding: 'buffer',
      },
    );
    const written = await execa('tar', ['--extract', '--to-stdout', 'written'], { input: stdout });
    assert.equal(written.stdout, 'data');
    assert.deepEqual(readdirSync(directory), ['saved.tar']);
    assert.equal(statSync(location).mode & 0o777, 0o600);
  }

  async function stateOfCriu(): Promise<'works' | 'fails' | 'absent'> {
    const { failed, code } = await execa('criu', ['check'], { reject: false });
    if (code === 'ENOENT') return 'absent';
    return failed ? 'fails' : 'works';
  }
});
