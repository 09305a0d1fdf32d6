import { hostPortsOf } from '../network/attachment.ts';
import type { Debt, Debts } from '../network/debts.ts';

/** A debt as `berth net debts` and verbose Status show it. */
export function debtInfo(debts: Debts, debt: Debt): Record<string, unknown> {
  const [namespace, name] = debt.pod.split('/');
  const { network, ifName } = debt.attachment;
  return {
    id: debt.id,
    sandboxId: debt.sandboxId,
    namespace,
    name,
    network: network.name,
    ifName,
    plugins: debt.owed.map((index) => network.plugins[index]?.type ?? ''),
    addresses: debt.addresses,
    hostPorts: hostPortsOf(debt.attachment, debt.owed),
    createdAt: debt.createdAt,
    attempts: debt.attempts,
    nextAttemptAt: new Date(debts.nextAttemptAt(debt.id)).toISOString(),
    lastError: debt.lastError,
  };
}
