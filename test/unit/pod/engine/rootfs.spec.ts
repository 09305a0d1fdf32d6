import assert from 'node:assert/strict';
import { RootFs } from '../../../../src/pod/engine/rootfs.ts';

const MAPPINGS = {
  uids: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gids: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
} as const;

/** A pool with one thread: a job begins when the one before has ended. */
class FakePool {
  readonly begun: string[] = [];
  stopped = false;
  readonly #ends: (() => void)[] = [];

  get pending(): number {
    return this.#ends.length;
  }

  call(job: string): Promise<unknown> {
    return new Promise((resolve) => {
      this.#ends.push(() => resolve({ users: [], groups: [] }));
      if (this.#ends.length === 1) this.begun.push(job);
    });
  }

  /** Ends the job that runs. */
  end(): void {
    this.#ends.shift()?.();
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }
}

describe('root file systems', () => {
  let looking: FakePool;
  let copying: FakePool;
  let rootfs: RootFs;
  beforeEach(() => {
    looking = new FakePool();
    copying = new FakePool();
    rootfs = new RootFs({ looking, copying });
  });
  const inspect = (volumes: { path: string; directory: string }[] = []) =>
    rootfs.inspect({ image: 'sha256:1', mounts: [], idMappings: undefined, volumes });

  it('are looked into while another is copied for a user namespace', async () => {
    const copied = rootfs.remap([], MAPPINGS);
    const looked = inspect();
    assert.deepEqual([copying.begun, looking.begun], [['rootfs.remap'], ['rootfs.inspect']]);
    looking.end();
    assert.deepEqual(await looked, { users: [], groups: [] });
    copying.end();
    await copied;
  });

  it('are looked into while the volumes of another are filled', async () => {
    const filled = inspect([{ path: '/data', directory: '/volume' }]);
    const looked = inspect();
    assert.deepEqual([copying.begun, looking.begun], [['rootfs.inspect'], ['rootfs.inspect']]);
    looking.end();
    await looked;
    copying.end();
    await filled;
  });

  it('are left alone after stop, by those who look and those who copy', async () => {
    await rootfs.stop();
    assert.ok(looking.stopped && copying.stopped);
    const own = new RootFs();
    await own.stop();
    await assert.rejects(own.remap([], MAPPINGS), { code: 'UNAVAILABLE' });
    await assert.rejects(own.inspect({ image: 'sha256:1', mounts: [], idMappings: undefined, volumes: [] }), {
      code: 'UNAVAILABLE',
    });
  });
});
