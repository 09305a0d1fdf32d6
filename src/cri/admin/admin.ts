import { BerthError } from '../../lib/errors.ts';
import { criState, type Sandbox } from '../../pod/sandbox/sandbox.ts';
import type { FailedSandbox } from '../../pod/sandbox/store.ts';
import type { Unary } from '../call.ts';
import { debtInfo } from '../debt-info.ts';
import type { CriDeps } from '../deps.ts';
import { requireId } from '../runtime/require-id.ts';
import { networkInfo } from '../runtime/sandbox-info.ts';

interface Answer {
  readonly json: string;
}

/** berth.v1.Admin ListDebts. */
export const listDebts: Unary<unknown, Answer> = ({ debts }) => {
  const oldestFirst = debts.list().sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  return { json: JSON.stringify(oldestFirst.map((debt) => debtInfo(debts, debt))) };
};

/** berth.v1.Admin RetryDebt. */
export const retryDebt: Unary<{ id: string }, Answer> = async ({ debts }, request) => {
  const paid = await debts.retry(requireId('id', request.id));
  return { json: JSON.stringify(debtInfo(debts, paid)) };
};

/** berth.v1.Admin ForgiveDebt. */
export const forgiveDebt: Unary<{ id: string }, Answer> = async ({ debts }, request) => {
  const forgiven = await debts.forgive(requireId('id', request.id));
  return { json: JSON.stringify(debtInfo(debts, forgiven)) };
};

/** berth.v1.Admin ExplainSandbox: also of sandboxes that are being made, or failed within the last hour. */
export const explainSandbox: Unary<{ pod: string }, Answer> = (deps, request) => {
  const { sandbox, failure } = findStory(deps, request.pod);
  const { metadata } = sandbox.record.config;
  return {
    json: JSON.stringify({
      id: sandbox.id,
      namespace: metadata?.namespace,
      name: metadata?.name,
      uid: metadata?.uid,
      attempt: metadata?.attempt,
      state: failure === undefined ? stateOf(deps, sandbox) : 'FAILED',
      createdAt: new Date(Number(BigInt(sandbox.record.createdAt) / 1_000_000n)).toISOString(),
      ...(failure === undefined ? {} : { error: failure.error }),
      network: networkInfo(sandbox),
    }),
  };
};

function stateOf({ pods }: CriDeps, sandbox: Sandbox): string {
  return pods.store.creating.has(sandbox) ? 'CREATING' : criState(sandbox.state);
}

interface Story {
  readonly sandbox: Sandbox;
  readonly failure?: FailedSandbox;
}

/** By id or prefix, or the newest sandbox of `namespace/name`: one that is being made, then living ones before failed ones. */
function findStory({ pods }: CriDeps, given: string): Story {
  const failed = pods.store.failed();
  const creating = [...pods.store.creating].find(({ id, pod }) => pod === given || id.startsWith(given));
  if (given !== '' && creating !== undefined) return { sandbox: creating };
  if (given.includes('/')) {
    const sandbox = pods.store
      .all()
      .reverse()
      .find((s) => s.pod === given);
    const failure = failed.find((f) => f.sandbox.pod === given);
    if (sandbox !== undefined && (sandbox.state.phase === 'ready' || failure === undefined))
      return { sandbox };
    if (failure !== undefined) return { sandbox: failure.sandbox, failure };
  } else {
    const sandbox = pods.store.find(requireId('pod', given));
    if (sandbox !== undefined) return { sandbox };
    const failure = failed.find((f) => f.sandbox.id.startsWith(given));
    if (failure !== undefined) return { sandbox: failure.sandbox, failure };
  }
  throw new BerthError(
    'NOT_FOUND',
    `no sandbox "${given.slice(0, 512)}", nor one that failed within the last hour`,
  );
}
