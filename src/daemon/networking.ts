import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { Namespaces } from '../kernel/namespaces.ts';
import type { Logger } from '../lib/log.ts';
import type { NetworkList, Step } from '../network/cni/types.ts';
import { Debts } from '../network/debts.ts';
import { Maintenance } from '../network/maintenance.ts';
import { Networks } from '../network/networks.ts';
import { Overview } from '../network/overview.ts';
import { Leases, type LeasesOptions } from '../network/plugins/ipam/dhcp/leases.ts';
import { PodLinks } from '../network/plugins/ipam/dhcp/links.ts';
import { PodNetwork } from '../network/pod-network.ts';
import type { SandboxStore } from '../pod/sandbox/store.ts';
import {
  livingAddresses,
  livingAttachments,
  rememberedNetworks,
  shownAttachments,
  withheldOn,
} from './living.ts';
import { createPlugins, type Plugins } from './plugins.ts';

export interface NetworkingOptions {
  readonly config: Config;
  /** The first 8 digits of the instance's uuid. */
  readonly instance: string;
  readonly store: SandboxStore;
  readonly log: Logger;
  /** Told of every plugin's step and of what happens to leases: for metrics. */
  readonly observe: {
    readonly step: (step: Step) => void;
    readonly lease: NonNullable<LeasesOptions['observe']>;
  };
}

/** All that makes, keeps, repairs and shows pods' networks. */
export interface Networking {
  readonly plugins: Plugins;
  readonly namespaces: Namespaces;
  readonly leases: Leases;
  readonly debts: Debts;
  readonly networks: Networks;
  readonly maintenance: Maintenance;
  readonly overview: Overview;
  readonly network: PodNetwork;
  /** After everything that uses it has stopped. */
  readonly stop: () => Promise<void>;
}

/** Puts the parts together; nothing is read or started yet. */
export function createNetworking({ config, instance, store, log, observe }: NetworkingOptions): Networking {
  const { cni, storage } = config;
  const links = new PodLinks();
  const leases = new Leases({ directory: join(storage.root, 'leases'), links, log, observe: observe.lease });
  const plugins = createPlugins(cni, leases);
  const { pool, chain, cache } = plugins;
  const debts = new Debts({
    directory: join(storage.root, 'debts'),
    chain,
    delTimeoutMs: cni.delTimeoutSeconds * 1_000,
    log,
  });
  const remembered = (): NetworkList[] => rememberedNetworks(store);
  const withheld = (of: NetworkList): ReturnType<typeof withheldOn> =>
    withheldOn(of, networks.every(), store, debts);
  const networks: Networks = new Networks({ cni, ...config.containerd, chain, remembered, withheld, log });
  const namespaces = new Namespaces(pool);
  const maintenance = new Maintenance({
    chain,
    cache,
    networks,
    namespaces,
    netnsDir: cni.netnsDir,
    instance,
    living: () => livingAttachments(store, debts),
    livingAddresses: () => livingAddresses(store, debts),
    withheld,
    delTimeoutMs: cni.delTimeoutSeconds * 1_000,
    log,
  });
  const overview = new Overview({
    pool,
    networks,
    debts,
    maintenance,
    living: () => shownAttachments(store),
  });
  const network = new PodNetwork({
    chain,
    debts,
    networks,
    settings: cni,
    count: observe.step,
    onExhausted: () => maintenance.onExhausted(),
    withheld,
    livingAddresses: () => livingAddresses(store, debts),
  });
  const stop = async (): Promise<void> => {
    await plugins.stop();
    await links.stop();
  };
  return { plugins, namespaces, leases, debts, networks, maintenance, overview, network, stop };
}
