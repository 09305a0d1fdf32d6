import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { PodSandboxConfig } from '../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, imageName, type Pod } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
/** Counts in its memory, and ends with a code when it is told to; one file of the image is gone, another one is there. */
const COUNT = [
  'sh',
  '-c',
  'trap "exit 7" USR1; echo data > /written; /bin/busybox rm /etc/greeting; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done',
];
/** CRIU's own switch, to do without the hardware breakpoints that some virtual machines lack: there it would wait for ever. */
const NO_BREAKPOINTS = '130';

/** While `slow` is there, a restore says that it was called, and waits. */
const SLOW_CRIU = `#!/bin/sh
if [ "$1" = swrk ] && [ -e "$CRIU_CONTROL/slow" ]; then
  echo > "$CRIU_CONTROL/called"
  while [ -e "$CRIU_CONTROL/slow" ]; do sleep 0.1; done
fi
exec "$REAL_CRIU" "$@"
`;

describe('a container that is restored by CRIU', () => {
  const { PATH = '' } = process.env;
  let programs: string;
  let started: ContainerRig | undefined;
  let directory: string;

  before(async function () {
    process.env['CRIU_FAULT'] = NO_BREAKPOINTS;
    const { failed } = await execa('criu', ['check'], { reject: false });
    // None is installed, or it is not one for this kernel: which of the containerds has one it is said by who runs the tests.
    if (failed && process.env['BERTH_REQUIRE_CRIU'] === '1') throw new Error('criu check fails');
    if (failed) this.skip();
    programs = await mkdtemp(join(tmpdir(), 'berth-criu-'));
    await writeFile(join(programs, 'criu'), SLOW_CRIU, { mode: 0o755 });
    process.env['CRIU_CONTROL'] = programs;
    process.env['REAL_CRIU'] = [...PATH.split(':'), '/usr/sbin', '/sbin']
      .map((place) => join(place, 'criu'))
      .find((file) => existsSync(file));
    process.env['PATH'] = `${programs}:${PATH}`;
    started = await ContainerRig.start({ config: { runtime: { restore_checkpoints: true } } });
    directory = join(started.directory, 'checkpoints');
    await mkdir(directory);
  });

  after(async () => {
    process.env['PATH'] = PATH;
    for (const name of ['CRIU_FAULT', 'CRIU_CONTROL', 'REAL_CRIU']) Reflect.deleteProperty(process.env, name);
    await started?.[Symbol.asyncDispose]();
    if (started !== undefined) await rm(programs, { recursive: true });
  });

  afterEach(async () => {
    await rig().clear();
    for (const name of readdirSync(directory)) await rm(join(directory, name), { recursive: true });
  });

  it('goes on where it was, with its files and its log, as often as it is asked for', async () => {
    const { location, last } = await checkpointed('first');
    const ids: string[] = [];
    for (const name of ['second', 'third']) {
      const pod = await rig().runPod(name);
      const id = await rig().run(pod, 'again', [], { ...own, image: { image: location } });
      await goesOn(pod, last);
      assert.equal((await rig().exec(id, ['cat', '/written'])).stdout, 'data\n');
      assert.notEqual((await rig().exec(id, ['cat', '/etc/greeting'])).exitCode, 0);
      assert.ok(!existsSync(filesOf(id)));
      ids.push(id);
    }
    for (const id of ids) {
      const { image, imageRef, annotations, state } = await rig().status(id);
      assert.equal(state, 'CONTAINER_RUNNING');
      assert.equal(image?.image, imageName);
      assert.match(imageRef, /^sha256:|@sha256:/);
      assert.equal(annotations['restored'], 'true');
      assert.equal(annotations['checkpointImage'], location);
      assert.match(annotations['checkpointedAt'] ?? '', /^20\d\d-/);
      await endsAsTold(id);
    }
  });

  it('is made from an image, too', async () => {
    const { location, last } = await checkpointed('imaged');
    const name = 'berth.local/test/checkpoint:1';
    const marks = { 'org.criu.checkpoint.container.name': 'count' };
    await rig().importImage(name, { archive: await readFile(location), marks });
    const pod = await rig().runPod('from-image');
    const id = await rig().run(pod, 'again', [], { ...own, image: { image: name } });
    await goesOn(pod, last);
    const { image, annotations } = await rig().status(id);
    assert.deepEqual([image?.image, annotations['checkpointImage']], [imageName, name]);
    await rig().removeImage(name);
  });

  const kinds: [string, (rig: ContainerRig) => ContainerConfig, PodSandboxConfig?][] = [
    ['with a terminal', () => ({ ...own, tty: true, stdin: true })],
    ['with an open stdin', () => ({ ...own, stdin: true })],
    ['in the process namespace of its pod', () => ({})],
    [
      "on the node's network",
      () => ({ linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER', network: 'NODE' } } } }),
      { linux: { securityContext: { namespaceOptions: { network: 'NODE' } } } },
    ],
    [
      'that is privileged',
      () => ({ linux: { securityContext: { ...own.linux.securityContext, privileged: true } } }),
      { linux: { securityContext: { privileged: true } } },
    ],
    [
      'with volumes',
      ({ directory: hostPath }) => ({
        ...own,
        mounts: [
          { hostPath: join(hostPath, 'checkpoints'), containerPath: '/volume' },
          { hostPath: join(hostPath, 'config.toml'), containerPath: '/etc/file', readonly: true },
        ],
      }),
    ],
  ];
  for (const [kind, config, podConfig = {}] of kinds)
    it(`may be one ${kind}`, async () => {
      const name = kind.replace(/\W+/g, '-');
      const more = config(rig());
      const { location, last } = await checkpointed(name, { more, podConfig });
      const pod = await rig().runPod(`${name}-again`, podConfig);
      const id = await rig().run(pod, 'again', [], { ...more, image: { image: location } });
      await goesOn(pod, last);
      await endsAsTold(id);
    });

  it('can be checkpointed and restored again', async () => {
    const { location } = await checkpointed('once');
    const pod = await rig().runPod('twice');
    const id = await rig().run(pod, 'again', [], { ...own, image: { image: location } });
    const second = join(directory, 'second.tar');
    await rig().checkpoint(id, second);
    const last = numbers(pod, 'again').at(-1) ?? 0;
    await rig().clear();
    const third = await rig().runPod('thrice');
    await rig().run(third, 'again', [], { ...own, image: { image: second } });
    await rig().logged(third, 'again', new RegExp(`^${last + 10}$`, 'm'));
  });

  it('lacks what it had removed by the word of CRI-O', async () => {
    const { location, last } = await checkpointed('cri-o');
    const deleted = join(directory, 'deleted.files');
    await writeFile(deleted, JSON.stringify(['bin/false', '/bin/gone', 'no/such/file']));
    await execa('tar', ['--append', '--file', location, '--directory', directory, 'deleted.files']);
    const pod = await rig().runPod('cri-o-again');
    const id = await rig().run(pod, 'again', [], { ...own, image: { image: location } });
    await goesOn(pod, last);
    assert.notEqual((await rig().exec(id, ['/bin/busybox', 'ls', '/bin/false'])).exitCode, 0);
    assert.equal((await rig().exec(id, ['/bin/busybox', 'ls', '/bin/true'])).exitCode, 0);
  });

  it('has the file that CRI-O had mounted, though no request asks for it', async () => {
    const hostPath = join(rig().directory, 'config.toml');
    const more = { ...own, mounts: [{ hostPath, containerPath: '/run/.containerenv' }] };
    const { location, last } = await checkpointed('containerenv', { more });
    const pod = await rig().runPod('containerenv-again');
    const id = await rig().run(pod, 'again', [], { ...own, image: { image: location } });
    await goesOn(pod, last);
    assert.equal((await rig().exec(id, ['cat', '/run/.containerenv'])).stdout, '');
    await endsAsTold(id);
  });

  it('is restored by a Berth that comes after the one that has created it', async () => {
    const { location, last } = await checkpointed('killed');
    const pod = await rig().runPod('killed-again');
    const id = await rig().create(pod, 'again', [], { ...own, image: { image: location } });
    await rm(location);
    await rig().daemon.kill();
    await rig().daemon.start();
    await rig().startContainer(id);
    await goesOn(pod, last);
    await eventually('its files are gone', () => (existsSync(filesOf(id)) ? undefined : true));
  });

  it('whose restore was cut off with Berth runs, or can be started, and goes with all that it has', async () => {
    const { location, last } = await checkpointed('cut');
    const pod = await rig().runPod('cut-again');
    const id = await rig().create(pod, 'again', [], { ...own, image: { image: location } });
    await writeFile(join(programs, 'slow'), '');
    const cut = rig()
      .startContainer(id)
      .catch(() => undefined);
    await eventually('CRIU is called', () => (existsSync(join(programs, 'called')) ? true : undefined));
    await rig().daemon.kill();
    await cut;
    await rm(join(programs, 'slow'));
    await rig().daemon.start();
    const isSettled = async (): Promise<true | undefined> => {
      const { state } = await rig().status(id);
      const tasks = await rig().ctr('tasks', 'ls', '--quiet');
      return state === 'CONTAINER_RUNNING' || !tasks.includes(id) ? true : undefined;
    };
    await eventually('it is settled', isSettled);
    if ((await rig().status(id)).state === 'CONTAINER_CREATED') await rig().startContainer(id);
    await goesOn(pod, last);
    await eventually('its files are gone', () => (existsSync(filesOf(id)) ? undefined : true));
  });

  it('goes with all that it has when it is never started', async () => {
    const { location } = await checkpointed('never');
    const pod = await rig().runPod('never-again');
    const config = { ...own, image: { image: location } };
    const id = await rig().create(pod, 'again', [], config);
    assert.equal(await rig().create(pod, 'again', [], config), id);
    assert.ok(existsSync(filesOf(id)));
    await rig().remove(id);
    assert.ok(!existsSync(filesOf(id)));
  });

  it('of which CRIU finds a part damaged has ended, and says why', async () => {
    const { location } = await checkpointed('damaged');
    const parts = join(directory, 'parts');
    await mkdir(parts);
    await execa('tar', ['--extract', '--file', location, '--directory', parts]);
    await writeFile(join(parts, 'checkpoint', 'inventory.img'), 'not of CRIU');
    await execa('tar', ['--create', '--file', location, '--directory', parts, ...readdirSync(parts)]);
    const pod = await rig().runPod('damaged-again');
    const id = await rig().create(pod, 'again', [], { ...own, image: { image: location } });
    await assert.rejects(rig().startContainer(id), {
      details: /OCI runtime restore failed.*\(criu: .*Error/s,
    });
    const { state, reason, message } = await rig().status(id);
    assert.deepEqual([state, reason], ['CONTAINER_EXITED', 'StartError']);
    assert.match(message, /criu: /);
    assert.ok(!existsSync(filesOf(id)));
    assert.doesNotMatch(await rig().ctr('tasks', 'ls', '--quiet'), new RegExp(id));
  });

  it('has what its processes have, or is refused', async () => {
    const more = { ...own, mounts: [{ hostPath: directory, containerPath: '/volume' }] };
    const { location } = await checkpointed('lacking', { more });
    const pod = await rig().runPod('lacking-again');
    const refused = async (config: ContainerConfig, code: status, details: RegExp): Promise<void> => {
      const asked = { ...own, image: { image: location }, ...config };
      await assert.rejects(rig().create(pod, 'again', [], asked), { code, details });
    };
    await refused({}, status.FAILED_PRECONDITION, /has mounts that it lacks: \/volume/);
    await refused({ ...more, tty: true }, status.INVALID_ARGUMENT, /config\.tty: must be false/);
    await refused(
      { image: { image: '/no/such.tar' } },
      status.NOT_FOUND,
      /"\/no\/such.tar": there is no such file/,
    );
    await refused({ image: { image: directory } }, status.INVALID_ARGUMENT, /it is not a file/);
    await execa('tar', ['--delete', '--file', location, 'config.dump']);
    await refused(more, status.INVALID_ARGUMENT, /it is no checkpoint .* it has no config\.dump/);
    await writeFile(
      join(directory, 'config.dump'),
      JSON.stringify({ rootfsImageRef: 'sha256:0', rootfsImageName: 'a:1' }),
    );
    await execa('tar', ['--append', '--file', location, '--directory', directory, 'config.dump']);
    await refused(more, status.NOT_FOUND, /its image "sha256:0", "a:1" is not on this node/);
    assert.deepEqual(await rig().list(), []);
    assert.deepEqual(readdirSync(join(rig().directory, 'root', 'containers')), []);
  });

  function rig(): ContainerRig {
    if (started === undefined) throw new Error('not started');
    return started;
  }

  /** Its trap is what it was. */
  async function endsAsTold(id: string): Promise<void> {
    const { info } = await rig().statusResponse(id, true);
    const { pid } = JSON.parse(info['info'] ?? '') as { pid: number };
    process.kill(pid, 'SIGUSR1');
    assert.equal((await rig().ended(id)).exitCode, 7);
  }

  function filesOf(id: string): string {
    return join(rig().directory, 'root', 'containers', id, 'restore');
  }

  /** A checkpoint of a container that is no more, and the last number that it may have come to. */
  async function checkpointed(
    name: string,
    { more = own, podConfig = {} }: { more?: ContainerConfig; podConfig?: PodSandboxConfig } = {},
  ): Promise<{ location: string; last: number }> {
    const pod = await rig().runPod(name, podConfig);
    const id = await rig().run(pod, 'count', COUNT, more);
    await rig().logged(pod, 'count', /^3\r?$/m);
    const location = join(directory, `${name}.tar`);
    await rig().checkpoint(id, location);
    await rig().stop(id);
    const last = numbers(pod, 'count').at(-1) ?? 0;
    await rig().clear();
    return { location, last };
  }

  function numbers(pod: Pod, name: string): number[] {
    return rig().logText(pod, name).trim().split('\n').map(Number);
  }

  /** Its log begins with what the other had said, perhaps until a little after the checkpoint, and then it goes on from there. */
  async function goesOn(pod: Pod, last: number): Promise<void> {
    await rig().logged(pod, 'again', new RegExp(`^${last + 10}\r?$`, 'm'));
    const counted = numbers(pod, 'again');
    const steps = counted.map((number, i) => number - (counted[i - 1] ?? 0)).filter((step) => step !== 1);
    assert.ok(steps.length <= 1 && steps.every((step) => step <= 0 && step > -last), counted.join(' '));
  }
});
