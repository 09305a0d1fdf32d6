import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { EngineUsage } from '../../../../src/pod/engine/engine.ts';
import { jobs } from '../../../../src/pod/stats/jobs.ts';
import { type CgroupTrees, controllers } from '../../../../src/pod/stats/cgroup/trees.ts';
import { StatsReader } from '../../../../src/pod/stats/reader.ts';
import type {
  MeasuredContainer,
  MeasuredSandbox,
  StatsSource,
  WrittenLayer,
} from '../../../../src/pod/stats/source.ts';

/** Files as a cgroup hierarchy shows them, in a directory of the test's own. */
export class CgroupFixture implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'berth-cgroups-'));
  readonly trees: CgroupTrees;

  /** v1 has a directory for each controller, v2 one for all. */
  constructor(version: 1 | 2) {
    const trees = controllers
      .filter((name) => version === 2 || name !== 'pressure')
      .map((name) => [name, { version, root: version === 1 ? join(this.root, name) : this.root }]);
    this.trees = Object.fromEntries(trees) as CgroupTrees;
  }

  /** File paths from the root, and their contents; a number stands for a file with one line. */
  write(files: Readonly<Record<string, string | number>>): void {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === 'number' ? `${content}\n` : content);
    }
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

/** The smallest v1 cgroup that counts as one. */
export function v1Cgroup(
  path: string,
  usageNanos: number,
  memoryBytes: number,
): Record<string, string | number> {
  return {
    [`cpuacct${path}/cpuacct.usage`]: usageNanos,
    [`memory${path}/memory.usage_in_bytes`]: memoryBytes,
    [`memory${path}/memory.stat`]:
      'total_inactive_file 100\ntotal_rss 300\ntotal_pgfault 7\ntotal_pgmajfault 2\n',
    [`memory${path}/memory.limit_in_bytes`]: 1_000_000,
    [`pids${path}/cgroup.procs`]: '1\n2\n',
  };
}

/** A reader whose jobs run on the calling thread. */
export function directReader(trees: CgroupTrees): StatsReader {
  const call = async (name: string, arg: unknown): Promise<unknown> => {
    await Promise.resolve();
    const job = jobs[name];
    if (job === undefined) throw new Error(`no job "${name}"`);
    return job(arg, { call: () => undefined });
  };
  return new StatsReader({ call }, trees);
}

export class FakeSource implements StatsSource {
  list: MeasuredContainer[] = [];
  pods: MeasuredSandbox[] = [];
  layers = new Map<string, WrittenLayer>();
  layerCalls = 0;
  usages = new Map<string, EngineUsage>();
  /** What was asked for: of one call each. */
  asked: (readonly string[])[] = [];

  containers(): readonly MeasuredContainer[] {
    return this.list;
  }

  sandboxes(): readonly MeasuredSandbox[] {
    return this.pods;
  }

  told(containerIds: readonly string[]): Promise<Map<string, EngineUsage>> {
    this.asked.push(containerIds);
    return Promise.resolve(this.usages);
  }

  writtenLayer(containerId: string): Promise<WrittenLayer> {
    this.layerCalls += 1;
    const layer = this.layers.get(containerId);
    return layer === undefined ? Promise.reject(new Error('no such snapshot')) : Promise.resolve(layer);
  }
}

export function container(id: string, changes: Partial<MeasuredContainer> = {}): MeasuredContainer {
  return {
    id,
    sandboxId: 'pod1',
    metadata: { name: `name-of-${id}`, attempt: 0 },
    labels: {},
    annotations: {},
    image: 'registry/image:1',
    running: true,
    cgroupsPath: `/pod1/${id}`,
    toldByShim: false,
    startedAt: 1_700_000_000_000_000_000n,
    snapshotDirectory: '/',
    ...changes,
  };
}

export function sandbox(id: string, changes: Partial<MeasuredSandbox> = {}): MeasuredSandbox {
  return {
    id,
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', attempt: 0 },
    labels: {},
    annotations: {},
    ready: true,
    cgroupParent: `/${id}`,
    netns: '',
    ...changes,
  };
}
