import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount__Output } from '../../../src/gen/runtime/v1/Mount.ts';
import { parseMountinfo } from '../../../src/kernel/mounts.ts';
import { BerthError, type ErrorCode } from '../../../src/lib/errors.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import type { SpecInput } from '../../../src/oci/input.ts';
import { withMounts } from '../../../src/oci/mounts.ts';
import { mountOf } from '../../../src/oci/propagation.ts';
import type { RuntimeSpec, SpecMount } from '../../../src/oci/types.ts';
import {
  containerConfig,
  features,
  mount,
  namespaceOptions,
  sandboxFacts,
  secured,
  specInput,
} from './spec-input.ts';

describe('mounts', () => {
  let directory: string;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'berth-mounts-')));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const at = (name: string): string => join(directory, name);
  const file = (name: string): string => {
    writeFileSync(at(name), '');
    return at(name);
  };
  const build = (mounts: Partial<Mount__Output>[], input: Partial<SpecInput> = {}): Promise<RuntimeSpec> =>
    Promise.resolve(
      withMounts(BASE_SPEC, specInput({ config: containerConfig({ mounts: mounts.map(mount) }), ...input })),
    );
  const find = (spec: RuntimeSpec, path: string): SpecMount | undefined =>
    spec.mounts.find(({ destination }) => destination === path);
  const one = async (
    part: Partial<Mount__Output>,
    input: Partial<SpecInput> = {},
  ): Promise<SpecMount | undefined> =>
    find(await build([{ hostPath: directory, containerPath: '/mnt', ...part }], input), '/mnt');
  const refuses = async (part: Partial<Mount__Output>, field: string): Promise<void> => {
    await assert.rejects(one(part), {
      code: 'INVALID_ARGUMENT',
      meta: { field: `config.mounts[0]${field}` },
    });
  };

  it('are private recursive binds, writable unless readonly', async () => {
    assert.deepEqual(await one({}), {
      destination: '/mnt',
      type: 'bind',
      source: directory,
      options: ['rbind', 'rprivate', 'rw'],
    });
    assert.deepEqual((await one({ readonly: true }))?.options, ['rbind', 'rprivate', 'ro']);
  });

  it('make an absent host path a directory that all can enter, and follow a symlink', async () => {
    assert.equal((await one({ hostPath: at('a/b') }))?.source, at('a/b'));
    mkdirSync(at('like'), { mode: 0o755 });
    assert.equal(statSync(at('a/b')).mode, statSync(at('like')).mode);
    symlinkSync(at('a'), at('link'));
    assert.equal((await one({ hostPath: at('link/b') }))?.source, at('a/b'));
  });

  it('refuse a host path that cannot be a directory', async () => {
    file('plain');
    await refuses({ hostPath: at('plain/below') }, '.host_path');
    symlinkSync(at('nowhere'), at('dangling'));
    await refuses({ hostPath: at('dangling') }, '.host_path');
    assert.equal(readlinkSync(at('dangling')), at('nowhere'));
    symlinkSync(at('loop'), at('loop'));
    await refuses({ hostPath: at('loop') }, '.host_path');
    // Node's recursive mkdir never comes back from there.
    await refuses({ hostPath: '/proc/berth-no-such/below' }, '.host_path');
  });

  it('need absolute paths', async () => {
    await refuses({ containerPath: '' }, '.container_path');
    await refuses({ containerPath: 'mnt' }, '.container_path');
    await refuses({ containerPath: '/a/..' }, '.container_path');
    await refuses({ containerPath: '/a\0b' }, '.container_path');
    await refuses({ hostPath: '' }, '.host_path');
    await refuses({ hostPath: 'x' }, '.host_path');
  });

  it('make nothing when one of them is refused', async () => {
    await assert.rejects(
      build([
        { hostPath: at('new'), containerPath: '/a' },
        { hostPath: directory, containerPath: 'b' },
      ]),
    );
    assert.equal(existsSync(at('new')), false);
  });

  it('come upper directories first, after the defaults', async () => {
    const paths = ['/a/b/c', '/z', '/a/b', '/a/../a/x/'];
    const spec = await build(paths.map((containerPath) => ({ hostPath: directory, containerPath })));
    assert.deepEqual(spec.mounts.map(({ destination }) => destination).slice(BASE_SPEC.mounts.length), [
      '/z',
      '/a/b',
      '/a/x',
      '/a/b/c',
    ]);
  });

  it('replace defaults at the same path, and all below /dev', async () => {
    const spec = await build([
      { hostPath: directory, containerPath: '/dev' },
      { hostPath: directory, containerPath: '/sys/fs/cgroup/' },
    ]);
    assert.deepEqual(
      spec.mounts.map(({ destination }) => destination),
      ['/proc', '/sys', '/dev', '/sys/fs/cgroup'],
    );
  });

  it('are recursively read-only only when readonly, private and possible', async () => {
    const rro = { readonly: true, recursiveReadOnly: true };
    assert.deepEqual((await one(rro))?.options, ['rbind', 'rprivate', 'rro']);
    await refuses({ recursiveReadOnly: true }, '.recursive_read_only');
    await refuses({ ...rro, propagation: 'PROPAGATION_HOST_TO_CONTAINER' }, '.recursive_read_only');
    await refuses({ ...rro, propagation: 'PROPAGATION_BIDIRECTIONAL' }, '.recursive_read_only');
    await assert.rejects(one(rro, { runtime: features({ recursiveReadOnly: false }) }), {
      code: 'FAILED_PRECONDITION',
      message: /^RROUnsupported: .*hostPath=/,
    });
  });

  it('refuse a propagation that nobody knows', async () => {
    await refuses({ propagation: 5 as unknown as 'PROPAGATION_PRIVATE' }, '.propagation');
  });

  it('map ids where the runtime can', async () => {
    const ids = [{ hostId: 1000, containerId: 0, length: 10 }];
    const mapped = await one({ uidMappings: ids, gidMappings: ids });
    assert.deepEqual(mapped?.uidMappings, [{ containerID: 0, hostID: 1000, size: 10 }]);
    assert.deepEqual(mapped.gidMappings, mapped.uidMappings);
    await refuses({ uidMappings: ids }, '');
  });

  describe('of a runtime that maps no ids', () => {
    const ids = [{ hostId: 1000, containerId: 0, length: 10 }];
    const range = [{ containerID: 0, hostID: 1000, size: 10 }];
    const runtime = features({ idmap: false });

    it('are made from where the host path, once found or made, is mounted with them', async () => {
      const asked: unknown[] = [];
      const mapHostPath: SpecInput['mapHostPath'] = (...given) => {
        asked.push([...given, existsSync(given[0])]);
        return Promise.resolve('/mapped/0');
      };
      symlinkSync(at('absent'), at('link'));
      mkdirSync(at('absent'));
      const part = { hostPath: at('link/below'), uidMappings: ids, gidMappings: ids, readonly: true };
      assert.deepEqual(await one(part, { runtime, mapHostPath }), {
        destination: '/mnt',
        type: 'bind',
        source: '/mapped/0',
        options: ['rbind', 'rprivate', 'ro'],
      });
      assert.deepEqual(asked, [[at('absent/below'), { uids: range, gids: range }, true]]);
      assert.equal((await one({}, { runtime, mapHostPath }))?.source, directory);
      assert.equal(asked.length, 1);
    });

    it('are named, with their file system and the reason, where that cannot be', async () => {
      const mapHostPath = (): Promise<string> =>
        Promise.reject(new BerthError('FAILED_PRECONDITION', 'mount_setattr: invalid argument'));
      const part = { hostPath: '/proc/sys', uidMappings: ids, gidMappings: ids };
      await assert.rejects(one(part, { runtime, mapHostPath }), {
        code: 'FAILED_PRECONDITION',
        message:
          'failed to mount "/proc/sys" at "/mnt": it needs an idmapped mount, which runtime "runc" does not support and ' +
          'Berth cannot make on proc: mount_setattr: invalid argument',
      });
    });
  });

  it('take over image volumes with their host path, and extra ones unless the config has that path', async () => {
    const extraMounts = [
      mount({ hostPath: at('volume'), containerPath: '/data' }),
      mount({ hostPath: at('other'), containerPath: '/mnt' }),
    ];
    const mounts = [mount({ hostPath: at('image'), containerPath: '/mnt', readonly: true })];
    const spec = await build([], { mounts, extraMounts });
    assert.equal(find(spec, '/mnt')?.source, at('image'));
    assert.equal(find(spec, '/data')?.source, at('volume'));
    assert.equal(existsSync(at('other')), false);
  });

  describe('of the pod', () => {
    const sandbox = (): SpecInput['sandbox'] => {
      mkdirSync(at('shm'));
      return sandboxFacts({
        shm: at('shm'),
        files: { hostname: file('hostname'), hosts: file('hosts'), resolvConf: at('absent') },
      });
    };

    it('are its files, where there are such, and its shared memory', async () => {
      const spec = await build([], { sandbox: sandbox() });
      assert.deepEqual(find(spec, '/etc/hosts')?.options, ['rbind', 'rprivate', 'rw']);
      assert.equal(find(spec, '/etc/hostname')?.source, at('hostname'));
      assert.equal(find(spec, '/dev/shm')?.source, at('shm'));
      assert.equal(find(spec, '/etc/resolv.conf'), undefined);
      assert.equal(existsSync(at('absent')), false);
    });

    it('are read-only with a read-only root, but for the shared memory', async () => {
      const spec = await build([], { config: secured({ readonlyRootfs: true }), sandbox: sandbox() });
      assert.deepEqual(find(spec, '/etc/hosts')?.options.at(-1), 'ro');
      assert.deepEqual(find(spec, '/dev/shm')?.options.at(-1), 'rw');
    });

    it("give way to the config's, and use the node's shared memory with the node's ipc", async () => {
      const own = sandbox();
      const spec = await build([{ hostPath: directory, containerPath: '/etc/hosts' }], {
        sandbox: { ...own, shm: '' },
      });
      assert.equal(find(spec, '/etc/hosts')?.source, directory);
      assert.equal(find(spec, '/dev/shm')?.source, realpathSync('/dev/shm'));
    });

    it('have ids mapped in a user namespace, by the runtime, or else where that can be', async () => {
      const ids = [{ hostId: 1000, containerId: 0, length: 10 }];
      const usernsOptions = { mode: 'POD' as const, uids: ids, gids: ids };
      const config = secured({ namespaceOptions: namespaceOptions({ usernsOptions }) });
      const own = sandbox();
      assert.ok(find(await build([], { config, sandbox: own }), '/etc/hosts')?.uidMappings);
      const runtime = features({ idmap: false });
      const hosts = async (mapHostPath: SpecInput['mapHostPath']): Promise<SpecMount | undefined> =>
        find(await build([], { config, sandbox: own, runtime, mapHostPath }), '/etc/hosts');
      const mapped = await hosts((path) => Promise.resolve(`/mapped${path}`));
      assert.equal(mapped?.source, `/mapped${own.files.hosts}`);
      assert.equal(mapped.uidMappings, undefined);
      const cannot = (code: ErrorCode) => (): Promise<string> => Promise.reject(new BerthError(code, 'no'));
      const plain = await hosts(cannot('FAILED_PRECONDITION'));
      assert.equal(plain?.source, own.files.hosts);
      assert.equal(plain.uidMappings, undefined);
      await assert.rejects(hosts(cannot('RESOURCE_EXHAUSTED')), { code: 'RESOURCE_EXHAUSTED' });
    });
  });

  describe('on a node with SELinux', () => {
    const LABEL = 'system_u:object_r:container_file_t:s0:c1,c2';
    const labelled = { ...BASE_SPEC, linux: { ...BASE_SPEC.linux, mountLabel: LABEL } };
    const relabelled = async (
      part: Partial<Mount__Output>,
      spec: RuntimeSpec = labelled,
    ): Promise<string[]> => {
      const seen: string[] = [];
      const relabel = (path: string, label: string): Promise<void> =>
        Promise.resolve(void seen.push(`${path} ${label}`));
      const mounts = [mount({ hostPath: directory, containerPath: '/mnt', selinuxRelabel: true, ...part })];
      await withMounts(spec, specInput({ config: containerConfig({ mounts }), relabel }));
      return seen;
    };

    it('get the label of the pod where that is asked for', async () => {
      assert.deepEqual(await relabelled({}), [`${directory} ${LABEL}`]);
      assert.deepEqual(await relabelled({ selinuxRelabel: false }), []);
      assert.deepEqual(await relabelled({}, BASE_SPEC), []);
      const image = { image: '', annotations: {}, userSpecifiedImage: '', runtimeHandler: '', imageRef: '' };
      assert.deepEqual(await relabelled({ readonly: true, image }), []);
    });

    it('never take the node itself its labels, whatever symlink leads there', async () => {
      symlinkSync('/usr', at('link'));
      for (const hostPath of ['/', '/etc', '/usr/', at('link')])
        await assert.rejects(relabelled({ hostPath }), {
          code: 'INVALID_ARGUMENT',
          meta: { field: 'config.mounts[0].selinux_relabel' },
        });
    });
  });
});

describe('the mount that a path lies on', () => {
  const line = (target: string, tag: string): string => `1 1 0:1 / ${target} rw ${tag} - ext4 /dev/sda rw`;
  const mounts = parseMountinfo(
    [line('/', 'shared:1'), line('/a', 'master:2'), line('/a/b', 'shared:3'), line('/a', 'private')].join(
      '\n',
    ),
  );

  it('is the deepest one, and of two at one place the later', () => {
    const targets = ['/', '/ab', '/a', '/a/x', '/a/b', '/a/b/c'].map(
      (path) => mountOf(path, mounts)?.propagation[0],
    );
    assert.deepEqual(targets, ['shared:1', 'shared:1', 'private', 'private', 'shared:3', 'shared:3']);
    assert.equal(mountOf('/', []), undefined);
  });
});
