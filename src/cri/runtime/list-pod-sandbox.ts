import type { ListPodSandboxRequest__Output } from '../../gen/runtime/v1/ListPodSandboxRequest.ts';
import type { ListPodSandboxResponse } from '../../gen/runtime/v1/ListPodSandboxResponse.ts';
import type { PodSandbox } from '../../gen/runtime/v1/PodSandbox.ts';
import type { PodSandboxFilter__Output } from '../../gen/runtime/v1/PodSandboxFilter.ts';
import { memoOfState } from '../../lib/memo.ts';
import { criState, type Sandbox } from '../../pod/sandbox/sandbox.ts';
import type { SandboxStore } from '../../pod/sandbox/store.ts';
import type { Unary } from '../call.ts';

/** CRI ListPodSandbox: answered from memory. */
export const listPodSandbox: Unary<ListPodSandboxRequest__Output, ListPodSandboxResponse> = (
  deps,
  request,
) => ({
  items: filtered(deps.pods.store, request.filter).map(listItem),
});

/** The sandboxes that a filter lets through: id or its beginning, state, labels; all of them must match. */
export function filtered(store: SandboxStore, filter: PodSandboxFilter__Output | null): Sandbox[] {
  if (filter === null) return store.all();
  const { id, state, labelSelector } = filter;
  const labels = Object.entries(labelSelector);
  return store.all().filter((sandbox) => {
    if (!sandbox.id.startsWith(id)) return false;
    if (state !== null && criState(sandbox.state) !== state.state) return false;
    return labels.every(([key, value]) => sandbox.record.config.labels[key] === value);
  });
}

/** The same object for as long as the sandbox's state is the same: see encodingOnce. */
export const listItem = memoOfState(({ state, record }: Sandbox): PodSandbox => {
  const { id, config, createdAt, runtimeHandler } = record;
  return {
    id,
    metadata: config.metadata,
    state: criState(state),
    createdAt,
    labels: config.labels,
    annotations: config.annotations,
    runtimeHandler,
  };
});
