import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 240];

/** Every metric of Berth, by name. Seconds are seconds; a count of a histogram is its number of events. */
export interface Metrics {
  readonly registry: Registry;
  readonly rpcSeconds: Histogram<'method' | 'code'>;
  readonly pluginSeconds: Histogram<'plugin' | 'verb' | 'provider' | 'result'>;
  readonly leaseEvents: Counter<'event'>;
}

/** What is read when someone scrapes, and not kept up to date in between. */
export interface Scraped {
  readonly sandboxesByState: () => Readonly<Record<string, number>>;
  readonly debts: () => { readonly count: number; readonly oldestSeconds: number };
  readonly leasesByPhase: () => Readonly<Record<string, number>>;
}

/** @param served whether anybody can ask for them: to watch the process itself wakes an idle one a hundred times a second. */
export function createMetrics(scraped: Scraped, { served }: { readonly served: boolean }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (served) collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'berth_sandboxes',
    help: 'Pod sandboxes by CRI state',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(scraped.sandboxesByState())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'berth_cni_debts',
    help: 'CNI DELs that are still owed',
    registers,
    collect() {
      this.set(scraped.debts().count);
    },
  });
  new Gauge({
    name: 'berth_cni_debt_oldest_seconds',
    help: 'Age of the oldest CNI DEL that is still owed; 0 when none is',
    registers,
    collect() {
      this.set(scraped.debts().oldestSeconds);
    },
  });
  new Gauge({
    name: 'berth_dhcp_leases',
    help: 'DHCP leases of pods by phase: bound, renewing, rebinding, expired',
    labelNames: ['phase'],
    registers,
    collect() {
      this.reset();
      for (const [phase, count] of Object.entries(scraped.leasesByPhase())) this.set({ phase }, count);
    },
  });
  return {
    registry,
    leaseEvents: new Counter({
      name: 'berth_dhcp_events_total',
      help: 'What happened to DHCP leases: acquired, renewed, unanswered, refused, other_address, expired, regained, released, gone',
      labelNames: ['event'],
      registers,
    }),
    rpcSeconds: new Histogram({
      name: 'berth_rpc_duration_seconds',
      help: 'Time to answer an RPC, by method and gRPC code',
      labelNames: ['method', 'code'],
      buckets: SECONDS,
      registers,
    }),
    pluginSeconds: new Histogram({
      name: 'berth_cni_plugin_duration_seconds',
      help: 'Time that a CNI plugin took, by plugin, verb, provider (built-in or executable) and result',
      labelNames: ['plugin', 'verb', 'provider', 'result'],
      buckets: SECONDS,
      registers,
    }),
  };
}
