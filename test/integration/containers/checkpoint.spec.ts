import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, type Pod } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const COUNT = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done'];

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

  it('is refused on a node without CRIU', async function () {
    const places = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
    if (places.some((place) => existsSync(join(place, 'criu')))) this.skip();
    const pod = await rig.runPod('without');
    const id = await rig.run(pod, 'main', ['sleep', '3600'], own);
    await assert.rejects(rig.checkpoint(id, join(directory, 'a.tar')), {
      code: status.FAILED_PRECONDITION,
      details: /criu is not installed/,
    });
    assert.deepEqual(readdirSync(directory), []);
  });

  it('that was cut off leaves no container standing still, and no part of an archive', async () => {
    const pod = await rig.runPod('cut');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    const files = join(rig.directory, 'root', 'containers', id, 'checkpoint');
    const part = join(directory, 'cut.tar.tmp');
    await rig.daemon.kill();
    await mkdir(files, { recursive: true });
    await writeFile(join(files, 'unfinished'), part);
    await writeFile(part, 'of an archive');
    await rig.ctr('tasks', 'pause', id);
    await rig.daemon.start();
    const last = Number(rig.logText(pod, 'count').trim().split('\n').at(-1));
    await rig.logged(pod, 'count', new RegExp(`^${last + 10}$`, 'm'));
    await eventually('its files are gone', () => (existsSync(files) ? undefined : true));
    assert.deepEqual(readdirSync(directory), []);
  });

  it('that is an image is not started from the beginning where none may be restored', async () => {
    const pod = await rig.runPod('image');
    const refused = async (image: string): Promise<void> => {
      await assert.rejects(rig.create(pod, 'main', [], { ...own, image: { image } }), {
        code: status.FAILED_PRECONDITION,
        details: /^failed to open checkpoint ".*": .* runtime\.restore_checkpoints is false$/,
      });
    };
    for (const mark of [
      'org.criu.checkpoint.container.name',
      'io.kubernetes.cri-o.annotations.checkpoint.name',
    ]) {
      const name = `berth.local/test/${mark}:1`;
      // By its id it goes with all of its names: it must not be the tiny image's.
      await rig.importImage(name, { marks: { [mark]: 'count' }, config: { Labels: { mark } } });
      await refused(name);
      await rig.removeImage(name);
    }
    assert.deepEqual(await rig.list(), []);
    assert.deepEqual(readdirSync(join(rig.directory, 'root', 'containers')), []);
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
});

/** A CRIU that says when it is called, comes back when it is told to, and has failed. */
const SLOW_CRIU = `#!/bin/sh
[ "$1" = --version ] && exec echo 'Version: 4.0'
echo $$ > "$CRIU_CONTROL/called"
while [ ! -e "$CRIU_CONTROL/go" ]; do sleep 0.1; done
exit 1
`;

describe('a checkpoint that takes long', () => {
  const { PATH = '' } = process.env;
  let control: string;
  let rig: ContainerRig;

  before(async () => {
    control = await mkdtemp(join(tmpdir(), 'berth-criu-'));
    await writeFile(join(control, 'criu'), SLOW_CRIU, { mode: 0o755 });
    process.env['CRIU_CONTROL'] = control;
    process.env['PATH'] = `${control}:${PATH}`;
    rig = await ContainerRig.start();
  });

  after(async () => {
    process.env['PATH'] = PATH;
    delete process.env['CRIU_CONTROL'];
    await rig[Symbol.asyncDispose]();
    await rm(control, { recursive: true });
  });

  afterEach(async () => {
    await proceed();
    await rig.clear();
    for (const name of ['called', 'go']) await rm(join(control, name), { force: true });
  });

  it('ends for its caller in time, and the container goes on as soon as CRIU lets it', async () => {
    const pod = await rig.runPod('late');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    const location = join(control, 'late.tar');
    // Long enough for CRIU to be called before it is over.
    await assert.rejects(rig.checkpoint(id, location, 5), {
      code: status.DEADLINE_EXCEEDED,
      details: /the checkpoint took longer than 5000 ms/,
    });
    assert.ok(existsSync(join(control, 'called')));
    await proceed();
    await goesOn(pod);
    await eventually('its files are gone', () => (existsSync(filesOf(id)) ? undefined : true));
    assert.ok(!existsSync(location));
  });

  it('that fails says what CRIU said, and the container goes on', async () => {
    const pod = await rig.runPod('failed');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    await proceed();
    const location = join(control, 'failed.tar');
    await assert.rejects(rig.checkpoint(id, location), { code: status.UNKNOWN, details: /criu/i });
    await goesOn(pod);
    assert.ok(!existsSync(filesOf(id)));
    assert.ok(!existsSync(location));
  });

  it('lets the container go on when Berth is killed meanwhile, and leaves nothing', async () => {
    const pod = await rig.runPod('killed');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^3$/m);
    const cut = rig.checkpoint(id, join(control, 'killed.tar')).catch(() => undefined);
    await eventually('CRIU is called', () => (existsSync(join(control, 'called')) ? true : undefined));
    await rig.daemon.kill();
    await cut;
    await rig.daemon.start();
    await proceed();
    await goesOn(pod);
    await eventually('its files are gone', () => (existsSync(filesOf(id)) ? undefined : true));
  });

  function filesOf(id: string): string {
    return join(rig.directory, 'root', 'containers', id, 'checkpoint');
  }

  async function proceed(): Promise<void> {
    await writeFile(join(control, 'go'), '');
  }

  async function goesOn(pod: Pod): Promise<void> {
    const last = Number(rig.logText(pod, 'count').trim().split('\n').at(-1));
    await rig.logged(pod, 'count', new RegExp(`^${last + 10}$`, 'm'));
  }
});
