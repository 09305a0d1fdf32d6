import { join } from 'node:path';
import type { Config } from '../config/schema.ts';

/** The configuration as `crictl info` shows it: ours, with containerd's names where tools look for them. */
export function configInfo(config: Config): Record<string, unknown> {
  return {
    ...config,
    containerd: { ...config.containerd, runtimes: Object.fromEntries(config.containerd.runtimes) },
    rootDir: config.storage.root,
    stateDir: config.storage.state,
    containerdRootDir: join(config.storage.root, 'containerd'),
  };
}
