/**
 * The composition root: which parts there are, who knows whom, in which order they start, and stop in reverse.
 *
 * claim the directories → recover sandboxes and debts → read networks → serve metrics → serve the CRI
 */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { CriServer } from '../cri/server.ts';
import { SpareStock } from '../kernel/namespaces.ts';
import { deadlineSignal, raceSignal } from '../lib/deadline.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import { KeyedLock } from '../lib/keyed-lock.ts';
import type { Fields, Logger } from '../lib/log.ts';
import { createMetrics } from '../lib/metrics.ts';
import { packageVersion } from '../lib/package-root.ts';
import { bootId } from '../lib/time.ts';
import { LeaseServer } from '../network/plugins/ipam/dhcp/server.ts';
import type { PodDeps } from '../pod/deps.ts';
import { PodEvents } from '../pod/events.ts';
import { Creations } from '../pod/creations.ts';
import { sameSandbox, type SandboxPlan } from '../pod/sandbox/plan.ts';
import { recoverSandboxes } from '../pod/sandbox/recover.ts';
import { sandboxFiles } from '../pod/sandbox/record.ts';
import { SandboxStore } from '../pod/sandbox/store.ts';
import { defaultSysctls } from '../pod/sandbox/sysctls.ts';
import { ExitMonitor } from '../pod/container/exits.ts';
import { recoverContainers } from '../pod/container/recover.ts';
import { startEngine } from './engine.ts';
import { createNetworking } from './networking.ts';
import { observeStep, scraped } from './observed.ts';
import { createStats } from './stats.ts';
import { startStreaming } from './streaming.ts';
import { claimInstance, type Instance } from './instance.ts';
import { MetricsServer } from './metrics-server.ts';

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
  /** What report() tells; nothing until calls are answered. */
  #facts: () => Fields = () => ({ starting: true });
  /** Of the event loop since the last report. */
  #utilization = performance.eventLoopUtilization();

  constructor(config: Config, deps: { log: Logger }) {
    this.#config = config;
    this.#log = deps.log;
    // One for each call under way.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Returns once calls are answered. Throws when it cannot start, and the signal's reason; stop() takes down what had started. */
  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    const started = performance.now();
    const config = this.#config;
    // While it starts it may wait for nothing but timers that would let the process end.
    const alive = setInterval(() => undefined, 1 << 30);
    this.#stops.push(() => clearInterval(alive));
    const instance = await claimInstance(config.storage);
    this.#stops.push(() => instance[Symbol.dispose]());

    const store = new SandboxStore();
    const networking = createNetworking({
      config,
      instance: instance.uuid.slice(0, 8),
      store,
      log: this.#log,
      observe: {
        step: (step) => observeStep(metrics, step),
        lease: (event) => metrics.leaseEvents.inc({ event }),
      },
    });
    this.#stops.push(networking.stop);
    const { networks, debts, leases, maintenance } = networking;
    const { pool, files } = networking.plugins;
    const engine = {
      config,
      instance: instance.uuid,
      files,
      threads: pool,
      stops: this.#stops,
      signal,
      log: this.#log,
    };
    const { containers, images, asked, pending } = await startEngine(engine);
    const metrics = createMetrics(scraped(store, debts, leases), {
      served: config.metrics.address !== '',
    });
    const spares = new SpareStock(pool, defaultSysctls(config.sandbox), SPARES);
    this.#stops.push(() => spares.close());
    const pods: PodDeps = {
      settings: config,
      store,
      files: sandboxFiles(config.storage.root, files),
      creations: new Creations<SandboxPlan>(sameSandbox, () => spares.refillSoon()),
      locks: new KeyedLock(),
      threads: pool,
      namespaces: networking.namespaces,
      spares,
      network: networking.network,
      containers,
      events: new PodEvents(this.#log),
      instance: instance.uuid.slice(0, 8),
      bootId: bootId(),
      log: this.#log,
    };

    leases.load();
    this.#stops.push(() => leases.stop());
    debts.load();
    this.#stops.push(() => debts.stop());
    const { kept, finish } = await recoverSandboxes(pods);
    // The records remember configurations whose files are bad now.
    await networks.start();
    this.#stops.push(() => networks.stop());
    const exits = new ExitMonitor(pods, await recoverContainers(pods));
    exits.start();
    this.#stops.push(() => exits.stop());
    const undone = finish();
    let recovered = false;
    void debts.firstAttempts(undone).then(() => {
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

    const metricsServer = new MetricsServer(config.metrics.address, metrics.registry, this.#log);
    await metricsServer.start();
    this.#stops.push(() => metricsServer.stop());
    const { stats, pending: pendingStats, stop: stopStats } = createStats(pods);
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
      overview: networking.overview,
      images,
      stats,
      streaming,
      stopping: this.#stopping.signal,
      recovered: () => recovered,
      log: this.#log,
    };
    const server = new CriServer(deps, metrics);
    await raceSignal(asked, signal);
    await server.start();
    this.#stops.push(() => this.#settle(pods, undone));
    this.#stops.push(() => server.stop());
    this.#facts = () => ({
      jobs: { ...networking.plugins.pending(), ...pending(), stats: pendingStats() },
      calls: server.underWay,
    });
    // Not before: a thread takes 50 ms to start, which the first pod shall not wait for, nor the socket.
    pool.start();
    void spares.refill();
    this.#announce(instance, kept, performance.now() - started);
  }

  /** Logs what whoever finds Berth slow wants to know: jobs of the threads, calls under way, and how busy the event loop was. */
  report(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    this.#log.info('report', { ...this.#facts(), loopBusy: Math.round(utilization * 1_000) / 1_000 });
  }

  /** Stops everything; pods go on running. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort(new BerthError('UNAVAILABLE', 'Berth is stopping'));
    for (let stop = this.#stops.pop(); stop !== undefined; stop = this.#stops.pop()) {
      try {
        await stop();
      } catch (error) {
        // What is left has its own to end: an engine, locks.
        this.#log.error('failed to stop a part', { error: messageOf(error) });
      }
    }
  }

  /** Lets creations undo themselves, recovery undo what was half-made, and commands end; what does not end in time the next start ends, from its record. */
  async #settle(pods: PodDeps, undone: Promise<void>): Promise<void> {
    using deadline = deadlineSignal('stopping', STOP_MS);
    const { creations, locks, containers } = pods;
    const idle = Promise.all([undone, creations.idle(), locks.idle(), containers.executions.stop()]);
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
