import assert from 'node:assert/strict';
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
