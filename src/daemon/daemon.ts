/**
 * The composition root: which parts there are, who knows whom, in which order they start, and stop in reverse.
 *
 * claim the directories → read networks → recover sandboxes and debts → serve metrics → serve the CRI
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { CriServer } from '../cri/server.ts';
import { fileJobsModule, threadedFiles } from '../kernel/files.ts';
import { namespaceJobsModule, Namespaces, SpareStock } from '../kernel/namespaces.ts';
import { ThreadPool } from '../kernel/threads/pool.ts';
import type { Files } from '../lib/atomic-file.ts';
import { deadlineSignal, raceSignal } from '../lib/deadline.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import { KeyedLock } from '../lib/keyed-lock.ts';
import type { Logger } from '../lib/log.ts';
import { createMetrics, type Metrics } from '../lib/metrics.ts';
import { packageVersion } from '../lib/package-root.ts';
import { ResultCache } from '../network/cni/cache.ts';
import { Chain } from '../network/cni/chain.ts';
import { ExecInvoke } from '../network/cni/invoke/exec-invoke.ts';
import type { Step } from '../network/cni/types.ts';
import { Debts } from '../network/debts.ts';
import { livingAddresses, livingAttachments, shownAttachments } from './living.ts';
import { Maintenance } from '../network/maintenance.ts';
import { Networks } from '../network/networks.ts';
import { Overview } from '../network/overview.ts';
import { BuiltinInvoke, DelegatedExecutables, pluginJobsModule } from '../network/plugins/builtin-invoke.ts';
import type { LeaseCall } from '../network/plugins/ipam/dhcp/call.ts';
import { Leases } from '../network/plugins/ipam/dhcp/leases.ts';
import { PodLinks } from '../network/plugins/ipam/dhcp/links.ts';
import { LeaseServer } from '../network/plugins/ipam/dhcp/server.ts';
import { createRegistry } from '../network/plugins/registry.ts';
import { SelectingInvoke } from '../network/plugins/selecting-invoke.ts';
import { PodNetwork } from '../network/pod-network.ts';
import type { PodDeps } from '../pod/deps.ts';
import { PodEvents } from '../pod/events.ts';
import { Creations } from '../pod/creations.ts';
import { sameSandbox, type SandboxPlan } from '../pod/sandbox/plan.ts';
import { recoverSandboxes } from '../pod/sandbox/recover.ts';
import { sandboxFiles } from '../pod/sandbox/record.ts';
import { criState } from '../pod/sandbox/sandbox.ts';
import { sandboxJobsModule } from '../pod/sandbox/prepare.ts';
import { SandboxStore } from '../pod/sandbox/store.ts';
import { defaultSysctls } from '../pod/sandbox/sysctls.ts';
import { ExitMonitor } from '../pod/container/exits.ts';
import { imageVolumeJobsModule } from '../pod/container/image-volumes.ts';
import { recoverContainers } from '../pod/container/recover.ts';
import { startEngine } from './engine.ts';
import { createStats } from './stats.ts';
import { startStreaming } from './streaming.ts';
import { claimInstance, type Instance } from './instance.ts';
import { MetricsServer } from './metrics-server.ts';

/** Workers for namespaces and plugins: rtnl is one lock for the whole host, so more would only wait for each other. */
const NETWORK_THREADS = 2;
/** Workers for ADDs that wait for somebody else, a DHCP server: so many pods wait at a time. Each starts when needed, and takes 16 MB. */
const WAITING_THREADS = 4;
/** Namespaces kept for the pods to come: a few for a burst. One is some 100 KiB of the kernel's memory. */
const SPARES = 4;
/** How long creations under way may take to undo themselves when Berth stops. */
const STOP_MS = 3_500;

export class Daemon {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  /** What to do to stop, in the order of starting. */
  readonly #stops: (() => Promise<void> | void)[] = [];

  constructor(config: Config, deps: { log: Logger }) {
    this.#config = config;
    this.#log = deps.log;
  }

  /** Returns once calls are answered. Throws when it cannot start; stop() takes down what had started. */
  async start(): Promise<void> {
    const started = performance.now();
    const config = this.#config;
    // While it starts it may wait for nothing but timers that would let the process end.
    const alive = setInterval(() => undefined, 1 << 30);
    this.#stops.push(() => clearInterval(alive));
    const instance = await claimInstance(config.storage);
    this.#stops.push(() => instance[Symbol.dispose]());

    const { containers, images, stops } = await startEngine(config, instance.uuid, this.#log);
    this.#stops.push(...stops);
    const links = new PodLinks();
    this.#stops.push(() => links.stop());
    const leases = new Leases({
      directory: join(config.storage.root, 'leases'),
      links,
      log: this.#log,
      observe: (event) => metrics.leaseEvents.inc({ event }),
    });
    const { pool, waitingPool, chain, cache, files } = this.#plugins(leases);
    this.#stops.push(() => Promise.all([pool.stop(), waitingPool.stop()]).then(() => undefined));
    const debts = new Debts({
      directory: join(config.storage.root, 'debts'),
      chain,
      delTimeoutMs: config.cni.delTimeoutSeconds * 1_000,
      log: this.#log,
    });
    const networks = new Networks({ cni: config.cni, ...config.containerd, chain, log: this.#log });
    const store = new SandboxStore();
    const metrics = createMetrics({
      sandboxesByState: () => countByState(store),
      debts: () => ({ count: debts.list().length, oldestSeconds: oldestSeconds(debts) }),
      leasesByPhase: () => countByPhase(leases),
    });
    const count = (step: Step): void => observeStep(metrics, step);
    const namespaces = new Namespaces(pool);
    const maintenance = new Maintenance({
      chain,
      cache,
      networks,
      namespaces,
      netnsDir: config.cni.netnsDir,
      instance: instance.uuid.slice(0, 8),
      living: () => livingAttachments(store, debts),
      livingAddresses: () => livingAddresses(store, debts),
      log: this.#log,
    });
    const overview = new Overview({
      pool,
      networks,
      debts,
      maintenance,
      living: () => shownAttachments(store),
    });
    const onExhausted = (): Promise<void> => maintenance.onExhausted();
    const network = new PodNetwork({
      chain,
      debts,
      networks,
      settings: config.cni,
      count,
      onExhausted,
      livingAddresses: () => livingAddresses(store, debts),
    });
    const spares = new SpareStock(pool, defaultSysctls(config.sandbox), SPARES);
    this.#stops.push(() => spares.close());
    const pods: PodDeps = {
      settings: config,
      store,
      files: sandboxFiles(config.storage.root, files),
      // After the answer, which must not wait for it.
      creations: new Creations<SandboxPlan>(sameSandbox, () => setImmediate(() => void spares.refill())),
      locks: new KeyedLock(),
      threads: pool,
      namespaces,
      spares,
      network,
      containers,
      events: new PodEvents(this.#log),
      instance: instance.uuid.slice(0, 8),
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      log: this.#log,
    };

    await networks.start();
    this.#stops.push(() => networks.stop());
    leases.load();
    this.#stops.push(() => leases.stop());
    debts.load();
    this.#stops.push(() => debts.stop());
    const { kept, undone } = await recoverSandboxes(pods);
    const exits = new ExitMonitor(pods, await recoverContainers(pods));
    exits.start();
    this.#stops.push(() => exits.stop());
    let recovered = false;
    void undone
      .then(() => debts.firstAttempts())
      .then(() => {
        recovered = true;
      });

    maintenance.start();
    this.#stops.push(() => maintenance.stop());

    const leaseServer = new LeaseServer(join(config.storage.state, 'dhcp.sock'), leases, this.#log);
    await leaseServer
      .start()
      .catch((error: unknown) =>
        this.#log.warn('other runtimes cannot hand their DHCP leases on', { error: messageOf(error) }),
      );
    this.#stops.push(() => leaseServer.stop());

    const metricsServer = new MetricsServer(config.metrics.address, metrics.registry);
    await metricsServer.start();
    this.#stops.push(() => metricsServer.stop());
    const { stats, stop: stopStats } = createStats(pods, images);
    this.#stops.push(stopStats);
    const { streaming, stop: stopStreaming } = await startStreaming(
      config.streaming,
      pods,
      this.#stopping.signal,
    );
    this.#stops.push(stopStreaming);
    const deps = {
      config,
      pods,
      networks,
      debts,
      maintenance,
      overview,
      images,
      stats,
      streaming,
      stopping: this.#stopping.signal,
      recovered: () => recovered,
      log: this.#log,
    };
    const server = new CriServer(deps, metrics);
    await server.start();
    this.#stops.push(() => this.#settle(pods));
    this.#stops.push(() => server.stop());
    // Not before: a thread takes 50 ms to start, which the first pod shall not wait for, nor the socket.
    pool.start();
    void spares.refill();
    this.#announce(instance, kept, performance.now() - started);
  }

  /** Stops everything; pods go on running. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort(new BerthError('UNAVAILABLE', 'Berth is stopping'));
    for (let stop = this.#stops.pop(); stop !== undefined; stop = this.#stops.pop()) await stop();
  }

  #plugins(leases: Leases): {
    pool: ThreadPool;
    waitingPool: ThreadPool;
    chain: Chain;
    cache: ResultCache;
    files: Files;
  } {
    const { cni } = this.#config;
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
        imageVolumeJobsModule,
        pluginJobsModule,
      ],
      serve,
    });
    const waitingPool = new ThreadPool({
      name: 'waiting',
      size: WAITING_THREADS,
      modules: [pluginJobsModule],
      serve,
    });
    const builtins = new BuiltinInvoke(pool, delegated);
    const waiting = new BuiltinInvoke(waitingPool, delegated, { byNetwork: false });
    const invoke = new SelectingInvoke({
      builtin: cni.builtin,
      registry: createRegistry(),
      builtins,
      waiting,
      executables,
    });
    const files = threadedFiles(pool);
    const cache = new ResultCache(cni.cacheDir, files.write);
    const chain = new Chain({ invoke, cache, binDirs: cni.binDirs });
    return { pool, waitingPool, cache, files, chain };
  }

  /** Lets creations undo themselves, and commands end; what does not end in time the next start ends, from its record. */
  async #settle(pods: PodDeps): Promise<void> {
    using deadline = deadlineSignal('stopping', STOP_MS);
    const { creations, locks, containers } = pods;
    const idle = Promise.all([creations.idle(), locks.idle(), containers.executions.settled()]);
    await raceSignal(idle, deadline.signal).catch(() => undefined);
  }

  #announce(instance: Instance, kept: number, ms: number): void {
    this.#log.info('Berth serves the CRI', {
      version: packageVersion(),
      address: this.#config.grpc.address,
      instance: instance.uuid,
      sandboxes: kept,
      startedMs: Math.round(ms),
    });
  }
}

function countByState(store: SandboxStore): Record<string, number> {
  const counts: Record<string, number> = { SANDBOX_READY: 0, SANDBOX_NOTREADY: 0 };
  for (const sandbox of store.all()) {
    const state = criState(sandbox.state);
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

function countByPhase(leases: Leases): Record<string, number> {
  const counts: Record<string, number> = { bound: 0, renewing: 0, rebinding: 0, expired: 0 };
  for (const { phase } of leases.list()) counts[phase] = (counts[phase] ?? 0) + 1;
  return counts;
}

function oldestSeconds(debts: Debts): number {
  const created = debts.list().map((debt) => Date.parse(debt.createdAt));
  return created.length === 0 ? 0 : (Date.now() - Math.min(...created)) / 1_000;
}

function observeStep(metrics: Metrics, step: Step): void {
  const provider = step.provider === 'built-in' ? 'built-in' : 'executable';
  const result = step.error === undefined ? 'ok' : 'error';
  metrics.pluginSeconds.observe(
    { plugin: step.plugin, verb: step.verb, provider, result },
    step.durationMs / 1_000,
  );
}
