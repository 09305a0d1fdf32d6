import { createHostLocal } from './ipam/host-local/index.ts';
import { bridge } from './main/bridge/index.ts';
import { loopback } from './main/loopback/index.ts';
import { flannel } from './meta/flannel/index.ts';
import { portmap } from './meta/portmap/index.ts';
import type { Plugin } from './plugin.ts';

/** Built-in plugins by type. */
export type Registry = ReadonlyMap<string, Plugin>;

/** All built-in plugins. The indexes of host-local live as long as the registry: one per thread. */
export function createRegistry(): Registry {
  const plugins = [bridge, loopback, createHostLocal(), portmap, flannel];
  return new Map(plugins.map((plugin) => [plugin.type, plugin]));
}
