/** What the metrics are made from. */
import type { Metrics, Scraped } from '../lib/metrics.ts';
import type { Step } from '../network/cni/types.ts';
import type { Debts } from '../network/debts.ts';
import type { Leases } from '../network/plugins/ipam/dhcp/leases.ts';
import { criState } from '../pod/sandbox/sandbox.ts';
import type { SandboxStore } from '../pod/sandbox/store.ts';

/** Looked up whenever someone scrapes. */
export function scraped(store: SandboxStore, debts: Debts, leases: Leases): Scraped {
  return {
    sandboxesByState: () =>
      counted(
        ['SANDBOX_READY', 'SANDBOX_NOTREADY'],
        store.all().map(({ state }) => criState(state)),
      ),
    debts: () => ({ count: debts.list().length, oldestSeconds: oldestSeconds(debts) }),
    leasesByPhase: () =>
      counted(
        ['bound', 'renewing', 'rebinding', 'expired'],
        leases.list().map(({ phase }) => phase),
      ),
  };
}

export function observeStep(metrics: Metrics, step: Step): void {
  const provider = step.provider === 'built-in' ? 'built-in' : 'executable';
  const result = step.error === undefined ? 'ok' : 'error';
  metrics.pluginSeconds.observe(
    { plugin: step.plugin, verb: step.verb, provider, result },
    step.durationMs / 1_000,
  );
}

/** How often each value is there; 0 for the usual ones that are not. */
function counted(usual: readonly string[], values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(usual.map((value) => [value, 0]));
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

function oldestSeconds(debts: Debts): number {
  const created = debts.list().map((debt) => Date.parse(debt.createdAt));
  return created.length === 0 ? 0 : (Date.now() - Math.min(...created)) / 1_000;
}
