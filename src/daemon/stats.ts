import type { ImageService } from '../containerd/image-service.ts';
import { cgroupsPathOf } from '../oci/root.ts';
import { ThreadPool } from '../kernel/threads/pool.ts';
import type { Container } from '../pod/container/container.ts';
import type { PodDeps } from '../pod/deps.ts';
import type { Sandbox } from '../pod/sandbox/sandbox.ts';
import { StatsReader, statsJobsModule } from '../pod/stats/reader.ts';
import type { MeasuredContainer, MeasuredSandbox, StatsSource } from '../pod/stats/source.ts';
import { Stats } from '../pod/stats/stats.ts';

/** The statistics of these pods, on a thread of their own that starts with the first question. */
export function createStats(
  pods: PodDeps,
  images: ImageService,
): { stats: Stats; stop: () => Promise<void> } {
  const pool = new ThreadPool({ name: 'stats', size: 1, modules: [statsJobsModule] });
  const stats = new Stats({
    source: new PodSource(pods, images),
    reader: new StatsReader(pool),
    log: pods.log,
  });
  return {
    stats,
    stop: async () => {
      stats.stop();
      await pool.stop();
    },
  };
}

class PodSource implements StatsSource {
  readonly #pods: PodDeps;
  readonly #images: ImageService;
  #snapshotDirectory = '';

  constructor(pods: PodDeps, images: ImageService) {
    this.#pods = pods;
    this.#images = images;
  }

  containers(): MeasuredContainer[] {
    return this.#pods.containers.store.all().map((container) => this.#measured(container));
  }

  sandboxes(): MeasuredSandbox[] {
    return this.#pods.store.all().map(measuredSandbox);
  }

  async writtenLayer(containerId: string): Promise<{ bytes: number; inodes: number }> {
    return this.#pods.containers.engine.written(containerId);
  }

  /** '' until the engine has told; asked in the background. */
  snapshotDirectory(): string {
    if (this.#snapshotDirectory === '') {
      this.#images.imageFsInfo({}).then(
        ({ imageFilesystems }) => (this.#snapshotDirectory = imageFilesystems[0]?.fsId?.mountpoint ?? ''),
        () => undefined,
      );
    }
    return this.#snapshotDirectory;
  }

  #measured({ id, record, state }: Container): MeasuredContainer {
    const { sandboxId, config } = record;
    const parent = this.#pods.store.find(sandboxId)?.record.cgroupParent ?? '';
    return {
      id,
      sandboxId,
      metadata: config.metadata,
      labels: config.labels,
      annotations: config.annotations,
      image: config.image?.userSpecifiedImage || record.imageTag || record.imageRef,
      running: state.phase === 'running',
      cgroupsPath: cgroupsPathOf(parent, id),
      startedAt: BigInt(state.startedAt),
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
