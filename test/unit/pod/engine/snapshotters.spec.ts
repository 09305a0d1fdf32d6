import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../../../src/config/schema.ts';
import type { ConnectionState } from '../../../../src/containerd/connection.ts';
import type { Containerd } from '../../../../src/containerd/containerd.ts';
import { BerthError } from '../../../../src/lib/errors.ts';
import type { EngineImages } from '../../../../src/pod/engine/images.ts';
import { Snapshotters } from '../../../../src/pod/engine/snapshotters.ts';

describe('the common snapshotter', () => {
  let become: (state: ConnectionState) => void;
  let answers: (() => Promise<string>)[];
  let asked: number;
  beforeEach(() => {
    asked = 0;
    answers = [];
  });

  const make = (snapshotter = ''): Snapshotters => {
    const onChange = (listener: typeof become): void => {
      become = listener;
    };
    const containerd = { connection: { onChange } } as unknown as Containerd;
    const images = { snapshotter: () => answers[asked++]?.() } as unknown as EngineImages;
    return new Snapshotters(
      containerd,
      images,
      configSchema.parse({ containerd: { snapshotter } }).containerd,
    );
  };
  const restart = (): void => {
    become({ connected: false, reason: 'gone' });
    become({ connected: true, version: '2.1.0' });
  };

  it('is asked for once as long as containerd runs, and again after it was restarted', async () => {
    answers = [async () => 'overlayfs', async () => 'native'];
    const snapshotters = make();
    assert.equal(await snapshotters.common(), 'overlayfs');
    become({ connected: false, reason: 'gone' });
    assert.equal(await snapshotters.common(), 'overlayfs');
    assert.equal(asked, 1);
    become({ connected: true, version: '2.1.0' });
    assert.equal(await snapshotters.common(), 'native');
    assert.equal(await snapshotters.common(), 'native');
    assert.equal(asked, 2);
  });

  it('is known when what was asked before the restart fails after it', async () => {
    let fail: () => void = () => undefined;
    const lost = new Promise<string>((_, reject) => {
      fail = () => reject(new BerthError('UNAVAILABLE', 'lost'));
    });
    answers = [() => lost, async () => 'native'];
    const snapshotters = make();
    const before = assert.rejects(snapshotters.common(), { code: 'UNAVAILABLE' });
    restart();
    assert.equal(await snapshotters.common(), 'native');
    fail();
    await before;
    assert.equal(await snapshotters.common(), 'native');
    assert.equal(asked, 2);
  });

  it('is the configured one, whatever containerd has', async () => {
    const snapshotters = make('btrfs');
    assert.equal(await snapshotters.common(), 'btrfs');
    restart();
    assert.equal(await snapshotters.common(), 'btrfs');
    assert.equal(asked, 0);
  });
});

describe('the directory of a snapshotter', () => {
  it('is the one that it tells, or the usual one if it is there: kubelet looks for what it is told', async () => {
    const root = mkdtempSync(join(tmpdir(), 'berth-snapshots-'));
    const usual = (name: string): string => join(root, `io.containerd.snapshotter.v1.${name}`);
    const filesystem = { fsId: { mountpoint: usual('overlayfs') } };
    const plugins = async () => [
      { id: 'native', exports: { root: '/told' } },
      ...['btrfs', 'proxy'].map((id) => ({ id, exports: {} })),
    ];
    const snapshotters = new Snapshotters(
      { connection: { onChange: () => undefined }, introspection: { plugins } } as unknown as Containerd,
      {
        snapshotter: async () => 'overlayfs',
        service: { imageFsInfo: async () => ({ imageFilesystems: [filesystem] }) },
      } as unknown as EngineImages,
      configSchema.parse({}).containerd,
    );
    mkdirSync(usual('btrfs'));
    try {
      assert.deepEqual(
        await Promise.all(
          ['overlayfs', 'native', 'btrfs', 'proxy'].map((name) => snapshotters.directory(name)),
        ),
        [usual('overlayfs'), '/told', usual('btrfs'), ''],
      );
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
