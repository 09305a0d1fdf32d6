import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { PodSandboxConfig } from '../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, imageName, type Pod } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const COUNT = ['sh', '-c', 'echo data > /written; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done'];
/** CRIU's own switch, to do without the hardware breakpoints that some virtual machines lack: there it would wait for ever. */
const NO_BREAKPOINTS = '130';

/** While `slow` is there, begins the archive, says so, and does not go on. CRIU uses tar, too: that is the real one. */
const SLOW_TAR = `#!/bin/sh
case "$*" in *config.dump*) ;; *) exec "$REAL_TAR" "$@" ;; esac
[ -e "$TAR_CONTROL/slow" ] || exec "$REAL_TAR" "$@"
echo part
echo > "$TAR_CONTROL/called"
while [ -e "$TAR_CONTROL/slow" ]; do sleep 0.1; done
`;

describe('a checkpoint by CRIU', () => {
  const { PATH = '' } = process.env;
  let programs: string | undefined;
  let rig: ContainerRig | undefined;
  let control: string;
  let directory: string;

  before(async function () {
    process.env['CRIU_FAULT'] = NO_BREAKPOINTS;
    const { failed } = await execa('criu', ['check'], { reject: false });
    // None is installed, or it is not one for this kernel: which of the containerds has one it is said by who runs the tests.
    if (failed && process.env['BERTH_REQUIRE_CRIU'] === '1') throw new Error('criu check fails');
    if (failed) this.skip();
    programs = await mkdtemp(join(tmpdir(), 'berth-tar-'));
    control = programs;
    await writeFile(join(programs, 'tar'), SLOW_TAR, { mode: 0o755 });
    process.env['TAR_CONTROL'] = control;
    process.env['REAL_TAR'] = PATH.split(':')
      .map((place) => join(place, 'tar'))
      .find((file) => existsSync(file));
    process.env['PATH'] = `${programs}:${PATH}`;
    rig = await ContainerRig.start();
    directory = join(rig.directory, 'checkpoints');
    await mkdir(directory);
  });

  after(async () => {
    process.env['PATH'] = PATH;
    delete process.env['CRIU_FAULT'];
    delete process.env['TAR_CONTROL'];
    delete process.env['REAL_TAR'];
    await rig?.[Symbol.asyncDispose]();
    if (programs !== undefined) await rm(programs, { recursive: true });
  });

  afterEach(async () => {
    for (const name of ['slow', 'called']) await rm(join(control, name), { force: true });
    await node().clear();
    for (const name of readdirSync(directory)) await rm(join(directory, name), { recursive: true });
  });

  it('is an archive of its processes, its files and what it was', async () => {
    const { pod, id } = await runCounting('saved');
    const location = join(directory, 'saved.tar');
    await node().checkpoint(id, location);
    const names = (await execa('tar', ['--list', '--file', location])).stdout.split('\n');
    for (const name of ['config.dump', 'spec.dump', 'status.dump', 'stats-dump', 'dump.log', 'container.log'])
      assert.ok(names.includes(name), name);
    for (const name of ['inventory.img', 'pages-1.img', 'descriptors.json'])
      assert.ok(names.includes(`checkpoint/${name}`), names.join(' '));
    const config = JSON.parse(await content(location, 'config.dump')) as Record<string, string>;
    assert.equal(config['id'], id);
    assert.equal(config['rootfsImage'], imageName);
    assert.equal(config['runtime'], 'io.containerd.runc.v2');
    const saved = JSON.parse(await content(location, 'status.dump')) as {
      state: number;
      image: { image: string };
    };
    assert.deepEqual([saved.state, saved.image.image], [1, imageName]);
    const spec = JSON.parse(await content(location, 'spec.dump')) as { process: { args: string[] } };
    assert.deepEqual(spec.process.args, COUNT);
    assert.match(await content(location, 'container.log'), / stdout F 3\n/);
    const diff = join(directory, 'diff.tar');
    await writeFile(diff, await content(location, 'rootfs-diff.tar'));
    assert.equal(await content(diff, 'written'), 'data\n');
    await rm(diff);
    assert.deepEqual(readdirSync(directory), ['saved.tar']);
    assert.equal(statSync(location).mode & 0o777, 0o600);
    await goesOn(pod);
    await leavesNothing(id);
  });

  it('can be restored: its process counts on where it was', async () => {
    const { pod, id } = await runCounting('restored');
    const location = join(directory, 'restored.tar');
    await node().checkpoint(id, location);
    await goesOn(pod);
    await node().stop(id);
    const bundle = join(directory, 'bundle');
    await unpack(location, bundle);
    const runc = (...args: string[]) => execa('runc', ['--root', join(bundle, 'state'), ...args]);
    const paths = ['--bundle', bundle, '--image-path', join(bundle, 'checkpoint'), '--work-path', bundle];
    const restored = execa('runc', ['--root', join(bundle, 'state'), 'restore', ...paths, id], {
      stdin: 'ignore',
      reject: false,
    });
    let said = '';
    restored.stdout.on('data', (data: Buffer) => {
      said += data.toString();
    });
    try {
      await eventually('it counts', () => (said.split('\n').length > 10 ? true : undefined));
      await runc('kill', id, 'KILL');
      await restored;
    } finally {
      await runc('delete', '--force', id);
    }
    const counted = said.trim().split('\n').map(Number);
    const [first = 0] = counted;
    const last = node().logText(pod, 'count').trim().split('\n').length;
    assert.ok(first > 3 && first <= last, `${first} of ${last}`);
    assert.deepEqual(
      counted,
      counted.map((_, i) => first + i),
    );
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
          { hostPath: '/dev/shm', containerPath: '/made/here' },
        ],
      }),
    ],
  ];
  for (const [kind, config, podConfig = {}] of kinds)
    it(`is made of a container ${kind}`, async () => {
      const name = kind.replace(/\W+/g, '-');
      const pod = await node().runPod(name, podConfig);
      const id = await node().run(pod, 'count', COUNT, config(node()));
      await node().logged(pod, 'count', /^3\r?$/m);
      const location = join(directory, 'kind.tar');
      await node().checkpoint(id, location);
      assert.ok(existsSync(location));
      await goesOn(pod);
      await leavesNothing(id);
    });

  it('is made of one container after another, and twice of one at once', async () => {
    const { pod, id } = await runCounting('twice');
    const other = await node().run(pod, 'other', COUNT, own);
    const names = ['a.tar', 'a.tar', 'b.tar'];
    await Promise.all([
      ...names.map((name) => node().checkpoint(id, join(directory, name))),
      node().checkpoint(other, join(directory, 'other.tar')),
    ]);
    assert.deepEqual(readdirSync(directory).sort(), ['a.tar', 'b.tar', 'other.tar']);
    const idIn = async (name: string): Promise<unknown> =>
      (JSON.parse(await content(join(directory, name), 'config.dump')) as { id: unknown }).id;
    assert.deepEqual(await Promise.all(['a.tar', 'other.tar'].map(idIn)), [id, other]);
    await goesOn(pod);
    await leavesNothing(id);
  });

  it('says that the disk is full, and leaves nothing on it', async () => {
    const { pod, id } = await runCounting('full');
    const small = join(directory, 'small');
    await mkdir(small);
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'small', small]);
    try {
      const full = {
        code: status.RESOURCE_EXHAUSTED,
        details: /: failed to write ".*a\.tar": ENOSPC: no space left on device/,
      };
      await assert.rejects(node().checkpoint(id, join(small, 'a.tar')), full);
      assert.deepEqual(readdirSync(small), []);
    } finally {
      await execa('umount', [small]);
    }
    await goesOn(pod);
    await leavesNothing(id);
  });

  it('that CRIU breaks off says why, and the container goes on', async () => {
    const { pod, id } = await runCounting('broken');
    const files = join(node().directory, 'root', 'containers', id);
    await mkdir(files, { recursive: true });
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'small', files]);
    try {
      await assert.rejects(node().checkpoint(id, join(directory, 'a.tar')), {
        details: /\(criu: .*No space left on device/,
      });
    } finally {
      await execa('umount', [files]);
    }
    await goesOn(pod);
    await leavesNothing(id);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('leaves nothing when Berth is killed while it writes the archive', async () => {
    const { pod, id } = await runCounting('killed');
    const location = join(directory, 'killed.tar');
    await writeFile(join(control, 'slow'), '');
    const cut = node()
      .checkpoint(id, location)
      .catch(() => undefined);
    await eventually('tar is called', () => (existsSync(join(control, 'called')) ? true : undefined));
    await eventually('a part is there', () => (readdirSync(directory).length === 1 ? true : undefined));
    await node().daemon.kill();
    await cut;
    await node().daemon.start();
    await eventually('the part is gone', () => (readdirSync(directory).length === 0 ? true : undefined));
    await goesOn(pod);
    await leavesNothing(id);
    await rm(join(control, 'slow'));
    await node().checkpoint(id, location);
    assert.deepEqual(readdirSync(directory), ['killed.tar']);
  });

  function node(): ContainerRig {
    if (rig === undefined) throw new Error('not started');
    return rig;
  }

  async function runCounting(name: string): Promise<{ pod: Pod; id: string }> {
    const pod = await node().runPod(name);
    const id = await node().run(pod, 'count', COUNT, own);
    await node().logged(pod, 'count', /^3$/m);
    return { pod, id };
  }

  async function goesOn(pod: Pod): Promise<void> {
    const last = Number(node().logText(pod, 'count').trim().split('\n').at(-1));
    await node().logged(pod, 'count', new RegExp(`^${last + 10}\r?$`, 'm'));
  }

  async function leavesNothing(id: string): Promise<void> {
    const files = join(node().directory, 'root', 'containers', id, 'checkpoint');
    await eventually('its files are gone', () => (existsSync(files) ? undefined : true));
    assert.doesNotMatch(await node().ctr('snapshots', 'ls'), /-parent-/);
    await eventually('its lease has ended', async () =>
      (await node().ctr('leases', 'ls', '--quiet')) === '' ? true : undefined,
    );
    assert.equal((await node().status(id)).state, 'CONTAINER_RUNNING');
  }

  async function content(archive: string, name: string): Promise<string> {
    const args = ['--extract', '--to-stdout', '--file', archive, name];
    return (await execa('tar', args, { stripFinalNewline: false })).stdout;
  }

  /** As a bundle of the OCI runtime. */
  async function unpack(archive: string, bundle: string): Promise<void> {
    const root = join(bundle, 'rootfs');
    await mkdir(join(root, 'bin'), { recursive: true });
    await execa('tar', ['--extract', '--file', archive, '--directory', bundle]);
    await rename(join(bundle, 'spec.dump'), join(bundle, 'config.json'));
    await cp('/bin/busybox', join(root, 'bin/busybox'));
    for (const name of ['sh', 'sleep']) await symlink('busybox', join(root, 'bin', name));
    await execa('tar', ['--extract', '--file', join(bundle, 'rootfs-diff.tar'), '--directory', root]);
  }
});
