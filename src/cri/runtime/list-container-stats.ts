import type { ContainerStatsFilter__Output } from '../../gen/runtime/v1/ContainerStatsFilter.ts';
import type { ListContainerStatsRequest__Output } from '../../gen/runtime/v1/ListContainerStatsRequest.ts';
import type { ListContainerStatsResponse } from '../../gen/runtime/v1/ListContainerStatsResponse.ts';
import type { StatsFilter } from '../../pod/stats/stats.ts';
import { containerStatsMessage } from './container-stats.ts';
import { collect, type StatsUnary } from './stats-call.ts';

/** CRI ListContainerStats: the running containers. */
export const listContainerStats: StatsUnary<
  ListContainerStatsRequest__Output,
  ListContainerStatsResponse
> = async ({ stats }, request, { signal }) => {
  const usages = await collect(stats.containers(containerFilter(request.filter), { signal }));
  return { stats: usages.map(containerStatsMessage) };
};

/** Ids, or their beginnings, and labels; all of them must match. */
export function containerFilter(filter: ContainerStatsFilter__Output | null): StatsFilter {
  const { id = '', podSandboxId = '', labelSelector = {} } = filter ?? {};
  return { id, sandboxId: podSandboxId, labels: labelSelector };
}
