import { isRunc, runtimeHandlerOf } from '../config/runtime-handlers.ts';
import { cgroupsPathOf } from '../oci/root.ts';
import { ThreadPool } from '../kernel/threads/pool.ts';
import type { Container } from '../pod/container/container.ts';
import type { PodDeps } from '../pod/deps.ts';
import type { Sandbox } from '../pod/sandbox/sandbox.ts';
import { StatsReader, statsJobsModule } from '../pod/stats/reader.ts';
import type { MeasuredContainer, MeasuredSandbox, StatsSource } from '../pod/stats/source.ts';
import { Stats } from '../pod/stats/stats.ts';

/** The statistics of these pods, on a thread of their own that starts with the first question. */
export function createStats(pods: PodDeps): {
  stats: Stats;
  pending: () => number;
  stop: () => Promise<void>;
} {
  const pool = new ThreadPool({ name: 'stats', size: 1, modules: [statsJobsModule] });
  const stats = new Stats({
    source: new PodSource(pods),
    reader: new StatsReader(pool),
    log: pods.log,
  });
  return {
    stats,
    pending: () => pool.pending,
    stop: async () => {
      stats.stop();
      await pool.stop();
    },
  };
}

class PodSource implements StatsSource {
  readonly #pods: PodDeps;
  /** By snapshotter; '' for one that the engine was asked for and has not told yet. */
  readonly #directories = new Map<string, string>();

  constructor(pods: PodDeps) {
    this.#pods = pods;
  }

  containers(): MeasuredContainer[] {
    return this.#pods.containers.store.all().map((container) => this.#measured(container));
  }

  sandboxes(): MeasuredSandbox[] {
    return this.#pods.store.all().map(measuredSandbox);
  }

  told(ids: readonly string[], options: { signal?: AbortSignal }): ReturnType<StatsSource['told']> {
    return this.#pods.containers.engine.usage(ids, options);
  }

  async writtenLayer(containerId: string): Promise<{ bytes: number; inodes: number }> {
    return this.#pods.containers.engine.written(containerId);
  }

  /** '' until the engine has told; asked in the background. */
  #directoryOf(snapshotter: string): string {
    const known = this.#directories.get(snapshotter);
    if (known === undefined) {
      this.#directories.set(snapshotter, '');
      this.#pods.containers.engine.snapshotDirectory(snapshotter).then(
        (directory) => this.#directories.set(snapshotter, directory),
        () => this.#directories.delete(snapshotter),
      );
    }
    return known ?? '';
  }

  #measured({ id, record, state }: Container): MeasuredContainer {
    const { sandboxId, config } = record;
    const { cgroupParent = '', runtimeHandler = '' } = this.#pods.store.find(sandboxId)?.record ?? {};
    const handler = runtimeHandlerOf(this.#pods.settings.containerd, runtimeHandler);
    return {
      id,
      sandboxId,
      metadata: config.metadata,
      labels: config.labels,
      annotations: config.annotations,
      image: config.image?.userSpecifiedImage || record.imageTag || record.imageRef,
      running: state.phase === 'running',
      cgroupsPath: cgroupsPathOf(cgroupParent, id),
      toldByShim: handler !== undefined && !isRunc(handler.type),
      startedAt: BigInt(state.startedAt),
      snapshotDirectory: this.#directoryOf(state.snapshotter),
    };
  }
}

function measuredSandbox({ id, record, state }: Sandbox): MeasuredSandbox {
  const { config, cgroupParent, namespaces } = record;
  return {
    id,
    metadata: config.metadata,
    labels: config.labels,
    annotations: config.annotations,
    ready: state.phase === 'ready',
    cgroupParent,
    netns: namespaces.network ?? '',
  };
}
