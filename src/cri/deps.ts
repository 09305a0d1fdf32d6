import type { Config } from '../config/schema.ts';
import type { ImageService } from '../containerd/image-service.ts';
import type { Logger } from '../lib/log.ts';
import type { Debts } from '../network/debts.ts';
import type { Maintenance } from '../network/maintenance.ts';
import type { Networks } from '../network/networks.ts';
import type { Overview } from '../network/overview.ts';
import type { PodDeps } from '../pod/deps.ts';
import type { Stats } from '../pod/stats/stats.ts';
import type { StreamingServer } from '../streaming/server.ts';

/** What the RPCs work with. */
export interface CriDeps {
  readonly config: Config;
  readonly pods: PodDeps;
  readonly networks: Networks;
  readonly debts: Debts;
  readonly maintenance: Maintenance;
  readonly overview: Overview;
  readonly images: ImageService;
  readonly stats: Stats;
  readonly streaming: StreamingServer;
  /** Aborts when Berth stops: ends streams, and creations under way. */
  readonly stopping: AbortSignal;
  /** False until recovery has paid, once, what it could. */
  readonly recovered: () => boolean;
  readonly log: Logger;
}
