import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { createLogger } from '../../../../src/lib/log.ts';
import { CpuSampler } from '../../../../src/pod/stats/cpu-sampler.ts';
import type { StatsReader } from '../../../../src/pod/stats/reader.ts';
import type { Reading } from '../../../../src/pod/stats/reading.ts';
import { container, FakeSource, sandbox } from './fixtures.ts';

const log = createLogger({ level: 'fatal', format: 'json' });

/** Answers with CPU times that are set by hand, at the present time. */
class ScriptedReader {
  readonly usage = new Map<string, bigint>();
  calls = 0;
  /** When it was asked last. */
  askedAt = 0n;
  fails = false;

  cgroups(paths: readonly string[]): Promise<Reading[]> {
    this.calls += 1;
    this.askedAt = process.hrtime.bigint();
    if (this.fails) return Promise.reject(new Error('no thread'));
    return Promise.resolve(paths.map((path) => this.reading(path, this.askedAt)));
  }

  reading(path: string, at = process.hrtime.bigint()): Reading {
    const usageNanos = this.usage.get(path);
    return usageNanos === undefined ? { at } : { at, cpu: { usageNanos } };
  }
}

describe('the CPU sampler', () => {
  let source: FakeSource;
  let reader: ScriptedReader;
  let sampler: CpuSampler;
  const start = (periodMs: number, idleMs: number): void => {
    sampler = new CpuSampler({ source, reader: reader as unknown as StatsReader, log }, { periodMs, idleMs });
  };
  const path = '/pod1/c1';
  beforeEach(() => {
    source = new FakeSource();
    source.list = [container('c1')];
    reader = new ScriptedReader();
    reader.usage.set(path, 0n);
  });
  afterEach(() => sampler.stop());

  /** Waits until so many more samples were taken. */
  async function samples(count: number): Promise<void> {
    const calls = reader.calls + count;
    while (reader.calls < calls) await wait(5);
  }

  it('does nothing before it is asked', async () => {
    start(10, 1_000);
    await wait(40);
    assert.equal(reader.calls, 0);
  });

  it('cannot tell a rate at first, and can after a period', async () => {
    start(60_000, 60_000);
    assert.equal(sampler.rate('c1', reader.reading(path)), undefined);
    await wait(10);
    // Half a CPU for a minute.
    const reading = { at: reader.askedAt + 60_000_000_000n, cpu: { usageNanos: 30_000_000_000n } };
    assert.equal(sampler.rate('c1', reading), 500_000_000n);
  });

  it('tells the rate of the last period or two, not of the whole past', async () => {
    start(30, 5_000);
    sampler.rate('c1', reader.reading(path));
    await wait(20);
    reader.usage.set(path, 10n ** 15n);
    await samples(3);
    await wait(20);
    assert.equal(sampler.rate('c1', reader.reading(path)), 0n);
  });

  it('has no rate of what went backwards, has gone, or is unknown', async () => {
    start(20, 60_000);
    reader.usage.set(path, 1_000n);
    sampler.rate('c1', reader.reading(path));
    await samples(1);
    const at = process.hrtime.bigint() + 1_000_000_000n;
    assert.equal(sampler.rate('c1', { at, cpu: { usageNanos: 10n } }), undefined);
    assert.equal(sampler.rate('c1', { at }), undefined);
    assert.equal(sampler.rate('other', { at, cpu: { usageNanos: 10n } }), undefined);
  });

  it('forgets what no longer runs, and samples only what runs', async () => {
    start(20, 60_000);
    source.pods = [sandbox('pod1'), sandbox('pod2', { ready: false }), sandbox('pod3', { cgroupParent: '' })];
    reader.usage.set('/pod1', 5n);
    sampler.rate('c1', reader.reading(path));
    await samples(1);
    source.list = [container('c1', { running: false })];
    await samples(1);
    const later = { at: process.hrtime.bigint() + 1_000_000_000n, cpu: { usageNanos: 1_000n } };
    assert.equal(sampler.rate('c1', later), undefined);
    assert.notEqual(sampler.rate('pod1', later), undefined);
  });

  it('stops when nobody asks any more, and begins anew when somebody does', async () => {
    start(10, 40);
    sampler.rate('c1', reader.reading(path));
    // Whatever is due after forty of them takes no sample.
    await wait(150);
    const calls = reader.calls;
    await wait(80);
    assert.equal(reader.calls, calls);
    assert.equal(sampler.rate('c1', reader.reading(path)), undefined);
    assert.equal(reader.calls, calls + 1);
  });

  it('goes on after a sample that failed', async () => {
    start(10, 60_000);
    reader.fails = true;
    sampler.rate('c1', reader.reading(path));
    await samples(1);
    reader.fails = false;
    await samples(1);
    const later = { at: process.hrtime.bigint() + 1_000_000_000n, cpu: { usageNanos: 1_000n } };
    assert.notEqual(sampler.rate('c1', later), undefined);
  });
});
