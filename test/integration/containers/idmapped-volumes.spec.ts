import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import type { Mount } from '../../../src/gen/runtime/v1/Mount.ts';
import { detectRuntimeFeatures } from '../../../src/oci/runtime-features.ts';
import { mountsBelow, unmountBelow } from '../../helpers/mounts.ts';
import { ContainerRig, type Pod } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const ROOT = 200_000;
const mappings = [{ containerId: 0, hostId: ROOT, length: 65_536 }];
const usernsOptions = { mode: 'POD', uids: mappings, gids: mappings } as const;
const options = {
  linux: { securityContext: { namespaceOptions: { usernsOptions, pid: 'CONTAINER' } } },
} as const;

describe('volumes of a pod in a user namespace, with their ids mapped', () => {
  let rig: ContainerRig;
  let pod: Pod;
  let volumes: string;
  /** Whether the OCI runtime mounts them, and not Berth. */
  let byRuntime: boolean;

  before(async () => {
    rig = await ContainerRig.start();
    for (const directory of [tmpdir(), rig.directory]) await chmod(directory, 0o711);
    byRuntime = (await detectRuntimeFeatures('runc')).features.idmap;
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    volumes = join(rig.directory, 'volumes');
    mkdirSync(volumes, { mode: 0o700 });
    pod = await rig.runPod('mapped', options);
  });

  afterEach(async () => {
    await rig.clear();
    await unmountBelow(rig.directory);
    await rm(volumes, { recursive: true });
  });

  const at = (name: string): string => join(volumes, name);
  const directory = (name: string): string => {
    mkdirSync(at(name), { recursive: true });
    return at(name);
  };
  const file = (path: string, uid = 0): string => {
    writeFileSync(path, 'of the node\n', { mode: 0o600 });
    chownSync(path, uid, uid);
    return path;
  };
  const volume = (hostPath: string, more: Mount = {}): Mount => ({
    containerPath: '/data',
    hostPath,
    uidMappings: mappings,
    gidMappings: mappings,
    ...more,
  });
  const run = (name: string, ...mounts: Mount[]): Promise<string> =>
    rig.run(pod, name, FOREVER, { ...options, mounts });
  const sh = async (id: string, script: string): Promise<string> => {
    const { stdout, stderr } = await rig.exec(id, ['sh', '-c', script]);
    return stdout + stderr;
  };
  const tmpfs = async (path: string, type = 'tmpfs'): Promise<string> => {
    mkdirSync(path, { recursive: true });
    await execa('mount', ['-t', type, type, path]);
    return path;
  };
  const mountedByBerth = (): string[] => mountsBelow(join(rig.state, 'containers'));

  it('have the owners of the node inside, and those of the container on the node', async () => {
    const hostPath = directory('volume');
    file(join(hostPath, 'roots'));
    file(join(hostPath, 'users'), 1_000);
    const id = await run('main', volume(hostPath));
    assert.equal(
      await sh(id, "cd /data; stat -c '%u %g' . roots users; cat roots"),
      '0 0\n0 0\n1000 1000\nof the node\n',
    );
    assert.equal(await sh(id, 'cd /data; echo more >> roots; touch made given; chown 5:6 given'), '');
    assert.equal(readFileSync(join(hostPath, 'roots'), 'utf8'), 'of the node\nmore\n');
    const owner = (name: string): number[] => {
      const { uid, gid } = statSync(join(hostPath, name));
      return [uid, gid];
    };
    assert.deepEqual(owner('made'), [0, 0]);
    assert.deepEqual(owner('given'), [5, 6]);
  });

  it('may be files, absent, or behind a symlink', async () => {
    const hosts = file(at('hosts'));
    symlinkSync('linked', at('link'));
    const linked = directory('linked');
    const id = await run(
      'main',
      volume(hosts, { containerPath: '/etc/hosts' }),
      volume(at('absent')),
      volume(at('link'), { containerPath: '/linked' }),
    );
    assert.equal(
      await sh(id, 'echo more >> /etc/hosts; cat /etc/hosts; touch /data/a /linked/b'),
      'of the node\nmore\n',
    );
    for (const path of [hosts, join(at('absent'), 'a'), join(linked, 'b')])
      assert.equal(statSync(path).uid, 0);
  });

  it('are read-only, with all that is mounted below them where that is asked for', async () => {
    const hostPath = directory('volume');
    await tmpfs(join(hostPath, 'below'));
    const readonly = volume(hostPath, { readonly: true });
    const id = await run('main', readonly, { ...readonly, containerPath: '/deep', recursiveReadOnly: true });
    const script =
      'for i in /data /data/below /deep /deep/below; do touch $i/x 2>/dev/null && echo rw || echo ro; done';
    assert.equal(await sh(id, script), 'ro\nrw\nro\nro\n');
  });

  it('are mapped with what is mounted below them, where its file system can be', async function () {
    if (byRuntime) return this.skip();
    const hostPath = directory('volume');
    const look = async (name: string): Promise<string> =>
      sh(await run(name, volume(hostPath)), 'cd /data; stat -c %u . below/file');
    const below = await tmpfs(join(hostPath, 'below'));
    file(join(below, 'file'));
    assert.equal(await look('tmpfs'), '0\n0\n');
    await execa('umount', [below]);
    await tmpfs(below, 'ramfs');
    file(join(below, 'file'));
    assert.equal(await look('ramfs'), '0\n65534\n');
    // The containers have it mounted, and nobody else.
    await execa('umount', [below]);
    rmdirSync(below);
  });

  it('show what is mounted on the node later, and leave it mounted when they go', async () => {
    const hostPath = await tmpfs(at('shared'));
    await execa('mount', ['--make-shared', hostPath]);
    const before = await tmpfs(join(hostPath, 'before'));
    file(join(before, 'file'));
    const both = ['PROPAGATION_HOST_TO_CONTAINER', 'PROPAGATION_BIDIRECTIONAL'] as const;
    for (const propagation of both) {
      const id = await run(
        'main',
        volume(hostPath, { propagation }),
        volume(hostPath, { containerPath: '/private' }),
      );
      const later = await tmpfs(join(hostPath, 'later'));
      writeFileSync(join(later, 'file'), '');
      assert.equal(
        await sh(id, 'cd /data; stat -c %u before/file; ls later; ls /private/later'),
        // The OCI runtime maps the volume alone.
        `${byRuntime ? 65_534 : 0}\nfile\n`,
        propagation,
      );
      await rig.remove(id);
      assert.deepEqual(mountsBelow(hostPath), [before, later], propagation);
      await execa('umount', [later]);
    }
    const plain = await tmpfs(at('plain'));
    await execa('mount', ['--make-private', plain]);
    await assert.rejects(run('main', volume(plain, { propagation: 'PROPAGATION_BIDIRECTIONAL' })), {
      code: status.FAILED_PRECONDITION,
      details: /plain" but it is not a shared mount/,
    });
  });

  it('may have other ids than the pod, in several ranges', async () => {
    const hostPath = directory('volume');
    file(join(hostPath, 'users'), 1_000);
    const ranges = [
      { containerId: 0, hostId: ROOT, length: 10 },
      { containerId: 1_000, hostId: ROOT + 70, length: 10 },
    ];
    const id = await run('main', volume(hostPath, { uidMappings: ranges, gidMappings: ranges }));
    assert.equal(await sh(id, "cd /data; stat -c '%u %g' . users"), '0 0\n70 70\n');
  });

  it('have the files of the pod beside them, which its root may write', async () => {
    const id = await run('main');
    assert.equal(
      await sh(id, 'cd /etc; stat -c %u hostname hosts resolv.conf; echo "# own" >> hosts'),
      '0\n0\n0\n',
    );
  });

  it('that cannot be mapped are refused by name, and nothing stays or is lost', async () => {
    const hostPath = directory('volume');
    file(join(hostPath, 'kept'));
    const odd = await tmpfs(at('odd'), 'ramfs');
    const mounts = [volume(hostPath), volume(odd, { containerPath: '/odd' })];
    const running = run('main', ...mounts);
    if (byRuntime) await assert.rejects(running);
    else
      await assert.rejects(running, {
        code: status.FAILED_PRECONDITION,
        details:
          /mount ".*\/odd" at "\/odd": it needs an idmapped mount, .* cannot make on ramfs: mount_setattr: invalid argument/,
      });
    await rig.clear();
    assert.ok(existsSync(join(hostPath, 'kept')));
  });

  it('hold nothing of one another, also where one is of a directory that Berth keeps them in', async () => {
    const counts: number[] = [];
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const earlier = mountedByBerth().length;
      const mounts = [volume(rig.directory)];
      ids.push(await rig.create(pod, name, FOREVER, { ...options, mounts }));
      counts.push(mountedByBerth().length - earlier);
    }
    // Below one that is shared there is a mount point more for each later container, and nothing in it.
    const [first = 0, , third = 0] = counts;
    assert.ok(third <= first + 2, counts.join());
    for (const id of ids) await rig.startContainer(id);
    assert.deepEqual(mountedByBerth(), []);
  });

  it('live on when Berth is killed, before and after the start, and go with their container', async () => {
    const hostPath = directory('volume');
    file(join(hostPath, 'kept'));
    const mounts = [volume(hostPath)];
    const running = await run('running', ...mounts);
    const created = await rig.create(pod, 'created', FOREVER, { ...options, mounts });
    await rig.daemon.kill();
    await rig.daemon.start();
    await rig.startContainer(created);
    for (const id of [running, created]) {
      assert.equal(await sh(id, 'stat -c %u /data/kept'), '0\n');
      await rig.remove(id);
    }
    await rig.remove(await rig.create(pod, 'never', FOREVER, { ...options, mounts }));
    assert.deepEqual(mountedByBerth(), []);
    const lost = await rig.create(pod, 'lost', FOREVER, { ...options, mounts });
    await rig.daemon.kill();
    await rm(join(rig.directory, 'root', 'containers', `${lost}.jsonl`));
    await rig.daemon.start();
    assert.deepEqual(mountedByBerth(), []);
    for (const [i, delayMs] of [5, 15, 30].entries()) {
      const create = rig.create(pod, `half-${i}`, FOREVER, { ...options, mounts }).catch(() => undefined);
      await sleep(delayMs);
      await rig.daemon.kill();
      await create;
      await rig.daemon.start();
    }
    await rig.clear();
    assert.ok(existsSync(join(hostPath, 'kept')));
  });
});
