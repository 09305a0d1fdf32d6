import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { embeddedConfig, parseVersion } from '../../../src/containerd/embedded/config.ts';
import { embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import { LogTail, writeLine } from '../../../src/containerd/embedded/log-tail.ts';
import { identify, isContainerd, isRunning, isShimOf } from '../../../src/containerd/embedded/process.ts';
import type { Fields, Logger } from '../../../src/lib/log.ts';
import { eventually } from '../../helpers/fixture.ts';

type Table = Record<string, Record<string, unknown> | undefined>;

describe('the configuration of the embedded containerd', () => {
  const paths = embeddedPaths({ root: '/var/lib/berth', state: '/run/berth' });
  const make = (major: number, minor: number, more = {}) =>
    parse(
      embeddedConfig({
        paths,
        version: { major, minor },
        registryConfigPath: '/certs',
        snapshotter: '',
        ...more,
      }),
    );

  it('knows the versions that distributions print', () => {
    const line = (version: string): string => `containerd github.com/containerd/containerd${version}`;
    assert.deepEqual(parseVersion(line(' 1.6.20~ds1 1.6.20~ds1-1+deb12u1')), { major: 1, minor: 6 });
    assert.deepEqual(parseVersion(line(' v1.7.24 abc')), { major: 1, minor: 7 });
    assert.deepEqual(parseVersion(line('/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376')), {
      major: 2,
      minor: 1,
    });
    assert.deepEqual(parseVersion(line('/v2 2.1.9~ds1 2.1.9~ds1-1')), { major: 2, minor: 1 });
    assert.throws(() => parseVersion(line(' 1.5.9 x')), { code: 'FAILED_PRECONDITION', message: /too old/ });
    assert.throws(() => parseVersion('runc version 1.1.5'), { code: 'FAILED_PRECONDITION' });
  });

  it('is private and streams on loopback only, in the format of each version', () => {
    for (const [major, minor, format] of [
      [1, 6, 2],
      [1, 7, 2],
      [2, 1, 3],
    ] as const) {
      const config = make(major, minor);
      assert.equal(config['version'], format);
      assert.equal(config['root'], '/var/lib/berth/containerd');
      assert.equal((config['grpc'] as Table)['address'], '/run/berth/containerd/containerd.sock');
      const plugins = config['plugins'] as Table;
      const cri = plugins['io.containerd.grpc.v1.cri'];
      assert.equal(cri?.['stream_server_address'], '127.0.0.1');
      assert.equal(cri['stream_server_port'], '0');
      assert.ok(!(config['disabled_plugins'] as string[]).some((id) => id.includes('cri')));
    }
  });

  it('has networks, registries and snapshotter where the version looks for them', () => {
    const cni = { conf_dir: '/run/berth/containerd/cni' };
    const old = (make(1, 6, { snapshotter: 'native' })['plugins'] as Table)['io.containerd.grpc.v1.cri'];
    assert.deepEqual({ ...(old?.['cni'] as object) }, cni);
    assert.deepEqual({ ...(old?.['registry'] as object) }, { config_path: '/certs' });
    assert.deepEqual({ ...(old?.['containerd'] as object) }, { snapshotter: 'native' });
    const plugins = make(2, 1, { snapshotter: 'native' })['plugins'] as Table;
    assert.deepEqual({ ...(plugins['io.containerd.cri.v1.runtime']?.['cni'] as object) }, cni);
    const images = plugins['io.containerd.cri.v1.images'];
    assert.deepEqual({ ...(images?.['registry'] as object) }, { config_path: '/certs' });
    assert.equal(images?.['snapshotter'], 'native');
    // Only there does containerd pull in another way, which knows no other snapshotter than its own.
    const isLocal = (minor: number, snapshotter: string): unknown =>
      (make(2, minor, { snapshotter })['plugins'] as Table)['io.containerd.cri.v1.images']?.[
        'use_local_image_pull'
      ];
    assert.deepEqual(
      [isLocal(0, 'native'), isLocal(1, ''), isLocal(1, 'native')],
      [undefined, undefined, true],
    );
    const nri = 'io.containerd.nri.v1.nri';
    assert.equal((make(1, 6)['plugins'] as Table)[nri], undefined);
    for (const minor of [7]) assert.equal((make(1, minor)['plugins'] as Table)[nri]?.['disable'], true);
    assert.equal(plugins[nri]?.['disable'], true);
  });

  it('has the snapshotters that are configured, and names the key of one that it cannot have', () => {
    const disabled = (more: object): string[] =>
      (make(2, 1, more)['disabled_plugins'] as string[])
        .filter((id) => id.includes('.snapshotter.'))
        .map((id) => id.split('.').at(-1) ?? '');
    const all = ['aufs', 'blockfile', 'btrfs', 'devmapper', 'zfs'];
    assert.deepEqual(disabled({}), all);
    const handlerSnapshotters = new Map(Object.entries({ runc: '', kata: 'btrfs' }));
    const without = all.filter((name) => name !== 'zfs' && name !== 'btrfs');
    assert.deepEqual(disabled({ snapshotter: 'zfs', handlerSnapshotters }), without);
    const refused = (key: string) => ({
      code: 'FAILED_PRECONDITION',
      message: new RegExp(`^invalid ${key}: `),
    });
    assert.throws(() => make(1, 6, { snapshotter: 'blockfile' }), refused('containerd\\.snapshotter'));
    const mapped = { handlerSnapshotters: new Map([['kata', 'devmapper']]) };
    assert.throws(() => make(2, 1, mapped), refused('containerd\\.runtimes\\.kata\\.snapshotter'));
  });
});

describe("containerd's log in ours", () => {
  function written(line: string): [string, string, Fields] {
    const lines: [string, string, Fields][] = [];
    const at =
      (level: string) =>
      (message: string, fields: Fields = {}) =>
        void lines.push([level, message, fields]);
    const log: Logger = {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: () => log,
    };
    writeLine(log, line);
    const [only] = lines;
    assert.ok(only !== undefined && lines.length === 1);
    return only;
  }

  it('has our levels, and its fields', () => {
    const line = (level: string): string =>
      JSON.stringify({ level, msg: 'it happened', time: '2026-01-01T00:00:00Z', id: 'x' });
    assert.deepEqual(written(line('info')), ['debug', 'it happened', { id: 'x' }]);
    assert.deepEqual(written(line('warning')), ['warn', 'it happened', { id: 'x' }]);
    assert.deepEqual(written(line('error')), ['error', 'it happened', { id: 'x' }]);
    assert.deepEqual(written(line('fatal')), ['error', 'it happened', { id: 'x' }]);
  });

  it('has what is no line of a logger as an error', () => {
    assert.deepEqual(written('panic: runtime error'), ['error', 'panic: runtime error', {}]);
    assert.deepEqual(written('[1]'), ['error', '[1]', {}]);
    assert.deepEqual(written('{"level":"error"}'), ['error', '{"level":"error"}', {}]);
  });
});

describe('the log file of the embedded containerd', () => {
  it('is followed to the last character, wherever a chunk ends, and emptied once it is large', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-tail-'));
    const path = join(directory, 'log');
    const messages: string[] = [];
    const note = (message: string): void => void messages.push(message);
    const log: Logger = { debug: note, info: note, warn: note, error: note, child: () => log };
    const tail = await LogTail.follow(path, log);
    try {
      // Of three bytes a character: in chunks of a power of two most ends are within one.
      const line = (at: number): string => `${at} ${'€'.repeat(40_000)}`;
      const lines = Array.from({ length: 100 }, (_, at) => line(at));
      appendFileSync(path, `${lines.join('\n')}\nbegun `);
      await eventually('it is read', () => (statSync(path).size === 0 ? true : undefined));
      appendFileSync(path, 'and ended\n');
      await eventually('it is followed', () => (messages.length > lines.length ? true : undefined));
      assert.ok([...lines, 'begun and ended'].every((each, at) => messages[at] === each));
    } finally {
      await tail.stop();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('a process by pid and start time', () => {
  it('is itself, and not another that later has its pid', () => {
    const self = identify(process.pid);
    assert.ok(self !== undefined);
    assert.equal(isRunning(self), true);
    assert.equal(isRunning({ ...self, startTime: '1' }), false);
    assert.equal(identify(2 ** 30), undefined);
  });

  it('is known by its command line', () => {
    const config = '/run/berth/containerd/config.toml';
    assert.equal(isContainerd(['/usr/bin/containerd', '--config', config], config), true);
    assert.equal(isContainerd(['containerd', '--config', '/etc/containerd/config.toml'], config), false);
    assert.equal(isContainerd(['vi', '--config', config], config), false);
    assert.equal(isContainerd([], config), false);
    const shim = [
      '/usr/bin/containerd-shim-runc-v2',
      '-namespace',
      'k8s.io',
      '-id',
      'x',
      '-address',
      '/a.sock',
    ];
    assert.equal(isShimOf(shim, '/a.sock'), true);
    assert.equal(isShimOf(shim, '/b.sock'), false);
    assert.equal(isShimOf(['containerd-shim-runc-v2'], ''), false);
  });
});
