import type { CniConfig } from '../config/schema.ts';
import { fileJobsModule, threadedFiles } from '../kernel/files.ts';
import { namespaceJobsModule } from '../kernel/namespaces.ts';
import { ThreadPool } from '../kernel/threads/pool.ts';
import type { Files } from '../lib/atomic-file.ts';
import { ResultCache } from '../network/cni/cache.ts';
import { Chain } from '../network/cni/chain.ts';
import { ExecInvoke } from '../network/cni/invoke/exec-invoke.ts';
import { BuiltinInvoke, DelegatedExecutables, pluginJobsModule } from '../network/plugins/builtin-invoke.ts';
import type { LeaseCall } from '../network/plugins/ipam/dhcp/call.ts';
import type { Leases } from '../network/plugins/ipam/dhcp/leases.ts';
import { createRegistry } from '../network/plugins/registry.ts';
import { SelectingInvoke } from '../network/plugins/selecting-invoke.ts';
import { mountJobsModule } from '../pod/container/mounts.ts';
import { shimJobsModule } from '../pod/engine/orphaned-shim.ts';
import { sandboxJobsModule } from '../pod/sandbox/prepare.ts';

/** Workers for namespaces and plugins: rtnl is one lock for the whole host, so more would only wait for each other. */
const NETWORK_THREADS = 2;
/**
 * Workers for ADDs that wait for somebody else, a DHCP server, an executable behind a built-in, or neighbours who may have an IPv6 address:
 * so many wait at a time. Each takes 16 MB once it is needed.
 */
const WAITING_THREADS = 8;
/** Workers for the other calls of built-ins that delegate to an executable. */
const DELEGATING_THREADS = 4;

/** The worker threads, and what runs on them. */
export interface Plugins {
  readonly pool: ThreadPool;
  readonly chain: Chain;
  readonly cache: ResultCache;
  readonly files: Files;
  /** Jobs that wait or run, by their pool. */
  readonly pending: () => Record<string, number>;
  readonly stop: () => Promise<void>;
}

/** Built-in plugins on threads of their own, executables, and the chain that calls them. No thread runs before it is needed. */
export function createPlugins(cni: CniConfig, leases: Leases): Plugins {
  const executables = new ExecInvoke();
  const delegated = new DelegatedExecutables(executables);
  const serve = {
    ...delegated.serve,
    lease: (call: unknown, signal: AbortSignal) => leases.serve(call as LeaseCall, signal),
  };
  const pool = new ThreadPool({
    name: 'network',
    size: NETWORK_THREADS,
    modules: [
      fileJobsModule,
      namespaceJobsModule,
      sandboxJobsModule,
      mountJobsModule,
      shimJobsModule,
      pluginJobsModule,
    ],
    serve,
  });
  const slowPool = (name: string, size: number): ThreadPool =>
    new ThreadPool({ name, size, modules: [pluginJobsModule], serve });
  const waiting = slowPool('waiting', WAITING_THREADS);
  const delegating = slowPool('delegating', DELEGATING_THREADS);
  const invoke = new SelectingInvoke({
    builtin: cni.builtin,
    registry: createRegistry(),
    builtins: new BuiltinInvoke(pool, delegated),
    waiting: new BuiltinInvoke(waiting, delegated, { byNetwork: false }),
    delegating: new BuiltinInvoke(delegating, delegated, { byNetwork: false }),
    executables,
  });
  const files = threadedFiles(pool);
  const cache = new ResultCache(cni.cacheDir, files.write);
  const chain = new Chain({ invoke, cache, binDirs: cni.binDirs });
  const stop = async (): Promise<void> => {
    await Promise.all([pool, waiting, delegating].map((each) => each.stop()));
  };
  const pending = (): Record<string, number> => ({
    network: pool.pending,
    waiting: waiting.pending,
    delegating: delegating.pending,
  });
  return { pool, chain, cache, files, pending, stop };
}
