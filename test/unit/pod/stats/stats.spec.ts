import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { BerthError } from '../../../../src/lib/errors.ts';
import { nowNanos } from '../../../../src/lib/time.ts';
import type { EngineUsage } from '../../../../src/pod/engine/engine.ts';
import { createLogger } from '../../../../src/lib/log.ts';
import { Stats } from '../../../../src/pod/stats/stats.ts';
import type { ContainerUsage } from '../../../../src/pod/stats/usage.ts';
import { CgroupFixture, container, directReader, FakeSource, sandbox, v1Cgroup } from './fixtures.ts';

const log = createLogger({ level: 'fatal', format: 'json' });

describe('statistics', () => {
  let fixture: CgroupFixture;
  let source: FakeSource;
  let stats: Stats;
  beforeEach(() => {
    fixture = new CgroupFixture(1);
    source = new FakeSource();
    stats = new Stats({ source, reader: directReader(fixture.trees), log });
  });
  afterEach(() => {
    stats.stop();
    fixture[Symbol.dispose]();
  });
  const collect = async <T>(batches: AsyncIterable<T[]>): Promise<T[]> => {
    const all: T[] = [];
    for await (const batch of batches) {
      assert.ok(batch.length > 0, 'a batch is empty');
      all.push(...batch);
    }
    return all;
  };
  const ids = (usages: ContainerUsage[]): string[] => usages.map((usage) => usage.container.id);

  it('of a container are found by the beginning of its id', async () => {
    source.list = [container('abc1'), container('def2')];
    fixture.write(v1Cgroup('/pod1/abc1', 5_000, 1_000));
    const usage = await stats.container('ab');
    assert.equal(usage.container.id, 'abc1');
    assert.equal(usage.reading.cpu?.usageNanos, 5_000n);
    assert.equal(usage.reading.memory?.workingSet, 900n);
  });

  it('of an unknown container or sandbox are NOT_FOUND', async () => {
    const notFound = (error: unknown): boolean => error instanceof BerthError && error.code === 'NOT_FOUND';
    await assert.rejects(stats.container('nope'), notFound);
    await assert.rejects(stats.sandbox('nope'), notFound);
  });

  it('of a container that does not run are those of its writable layer', async () => {
    source.list = [container('c1', { running: false })];
    source.layers.set('c1', { bytes: 4096, inodes: 2 });
    await stats.container('c1');
    await wait(5);
    const usage = await stats.container('c1');
    assert.equal(usage.reading.cpu, undefined);
    assert.equal(usage.layer?.bytes, 4096);
    assert.equal(usage.layer.inodes, 2);
  });

  it('of a container whose cgroup has just gone are without CPU and memory', async () => {
    source.list = [container('c1')];
    const usage = await stats.container('c1');
    assert.equal(usage.reading.cpu, undefined);
    assert.equal(usage.reading.memory, undefined);
  });

  it('are as the shim tells them where the cgroup is absent or not all, of one question for a list', async () => {
    source.list = [container('plain'), container('machine'), container('sentry', { toldByShim: true })];
    for (const id of ['plain', 'sentry']) fixture.write(v1Cgroup(`/pod1/${id}`, 1, 1_000));
    const told = (usageNanos: bigint): EngineUsage => ({ at: 7n, cpu: { usageNanos } });
    source.usages = new Map([
      ['machine', told(20n)],
      ['sentry', told(30n)],
    ]);
    const usages = await collect(stats.containers());
    assert.deepEqual(
      usages.map(({ container: { id }, reading: { cpu } }) => [id, cpu?.usageNanos]),
      [
        ['plain', 1n],
        ['machine', 20n],
        ['sentry', 30n],
      ],
    );
    assert.deepEqual(source.asked, [['machine', 'sentry']]);
    const [pod] = await collect(
      (async function* () {
        source.pods = [sandbox('pod1')];
        yield* stats.sandboxes();
      })(),
    );
    assert.equal(pod?.reading.cpu?.usageNanos, 51n);
  });

  it('are told without what the engine does not tell while it is away', async () => {
    source.list = [container('c1', { toldByShim: true })];
    fixture.write(v1Cgroup('/pod1/c1', 5, 1_000));
    source.told = () => Promise.reject(new BerthError('UNAVAILABLE', 'away'));
    assert.equal((await stats.container('c1')).reading.cpu?.usageNanos, 5n);
  });

  it('have no rate of CPU time from two sources', async () => {
    source.list = [container('c1', { toldByShim: true })];
    fixture.write(v1Cgroup('/pod1/c1', 0, 1_000));
    const at = nowNanos() + 10_000_000_000n;
    source.usages = new Map([['c1', { at, cpu: { usageNanos: 5_000_000_000n } }]]);
    await stats.container('c1');
    await wait(50);
    assert.equal((await stats.container('c1')).nanoCores, undefined);
  });

  it('are listed of what runs and has not vanished', async () => {
    source.list = [container('c1'), container('c2', { running: false }), container('c3'), container('gone')];
    for (const id of ['c1', 'c2', 'c3']) fixture.write(v1Cgroup(`/pod1/${id}`, 1, 1_000));
    assert.deepEqual(ids(await collect(stats.containers())), ['c1', 'c3']);
  });

  it('are listed by id, sandbox and all labels', async () => {
    source.list = [
      container('c1', { labels: { app: 'a', tier: 'x' } }),
      container('c2', { labels: { app: 'a' } }),
      container('d3', { labels: { app: 'a' }, sandboxId: 'pod2' }),
    ];
    for (const id of ['c1', 'c2', 'd3']) fixture.write(v1Cgroup(`/pod1/${id}`, 1, 1_000));
    const list = async (id: string, sandboxId: string, labels: Record<string, string>): Promise<string[]> =>
      ids(await collect(stats.containers({ id, sandboxId, labels })));
    assert.deepEqual(await list('c', '', {}), ['c1', 'c2']);
    assert.deepEqual(await list('', 'pod2', {}), ['d3']);
    assert.deepEqual(await list('', '', { app: 'a', tier: 'x' }), ['c1']);
    assert.deepEqual(await list('', '', { app: 'b' }), []);
  });

  it('come in batches, each object once', async () => {
    source.list = Array.from({ length: 150 }, (_, i) => container(`c${i}`));
    for (const { id } of source.list) fixture.write(v1Cgroup(`/pod1/${id}`, 1, 1_000));
    const sizes: number[] = [];
    const seen = new Set<string>();
    for await (const batch of stats.containers()) {
      sizes.push(batch.length);
      for (const id of ids(batch)) seen.add(id);
    }
    assert.ok(sizes.length > 1);
    assert.equal(seen.size, 150);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      150,
    );
  });

  it('of a pod are those of its own cgroup, with its containers', async () => {
    source.pods = [sandbox('pod1')];
    source.list = [container('c1'), container('other', { sandboxId: 'pod2' })];
    fixture.write({ ...v1Cgroup('/pod1', 9_000, 2_000), ...v1Cgroup('/pod1/c1', 5_000, 1_000) });
    const pod = await stats.sandbox('pod1');
    assert.equal(pod.reading.cpu?.usageNanos, 9_000n);
    assert.equal(pod.reading.memory?.usage, 2_000n);
    assert.equal(pod.reading.processes?.processes, 4n);
    assert.deepEqual(ids([...pod.containers]), ['c1']);
    assert.equal(pod.interfaces, undefined);
  });

  it('of a pod without a cgroup are the sum over its containers', async () => {
    source.pods = [sandbox('pod1', { cgroupParent: '' })];
    source.list = [container('c1'), container('c2'), container('gone')];
    fixture.write({ ...v1Cgroup('/pod1/c1', 5_000, 1_000), ...v1Cgroup('/pod1/c2', 2_000, 700) });
    const pod = await stats.sandbox('pod1');
    assert.equal(pod.reading.cpu?.usageNanos, 7_000n);
    assert.deepEqual(pod.reading.memory, {
      usage: 1_700n,
      workingSet: 1_500n,
      limit: 2_000_000n,
      rss: 600n,
      pageFaults: 14n,
      majorPageFaults: 4n,
    });
    assert.equal(pod.reading.processes?.processes, 4n);
  });

  it('of a pod with neither a cgroup nor a container have no numbers', async () => {
    source.pods = [sandbox('pod1', { cgroupParent: '' })];
    const pod = await stats.sandbox('pod1');
    assert.equal(pod.reading.cpu, undefined);
    assert.equal(pod.reading.memory, undefined);
    assert.deepEqual(pod.containers, []);
  });

  it('of a pod that is not ready are FAILED_PRECONDITION, and left out of a list', async () => {
    source.pods = [
      sandbox('pod1', { ready: false }),
      sandbox('pod2', { labels: { a: 'b' } }),
      sandbox('pod3'),
    ];
    await assert.rejects(
      stats.sandbox('pod1'),
      (error: unknown) => error instanceof BerthError && error.code === 'FAILED_PRECONDITION',
    );
    const all = await collect(stats.sandboxes());
    assert.deepEqual(
      all.map((pod) => pod.sandbox.id),
      ['pod2', 'pod3'],
    );
    const some = await collect(stats.sandboxes({ id: '', labels: { a: 'b' } }));
    assert.deepEqual(
      some.map((pod) => pod.sandbox.id),
      ['pod2'],
    );
  });
});
