import type { ListPodSandboxStatsRequest__Output } from '../../gen/runtime/v1/ListPodSandboxStatsRequest.ts';
import type { ListPodSandboxStatsResponse } from '../../gen/runtime/v1/ListPodSandboxStatsResponse.ts';
import type { PodSandboxStatsFilter__Output } from '../../gen/runtime/v1/PodSandboxStatsFilter.ts';
import type { StatsFilter } from '../../pod/stats/stats.ts';
import { podStatsMessage } from './pod-sandbox-stats.ts';
import { collect, type StatsUnary } from './stats-call.ts';

/** CRI ListPodSandboxStats: the ready sandboxes. */
export const listPodSandboxStats: StatsUnary<
  ListPodSandboxStatsRequest__Output,
  ListPodSandboxStatsResponse
> = async ({ stats }, request, { signal }) => {
  const usages = await collect(stats.sandboxes(sandboxFilter(request.filter), { signal }));
  return { stats: usages.map(podStatsMessage) };
};

/** An id, or its beginning, and labels; all of them must match. */
export function sandboxFilter(filter: PodSandboxStatsFilter__Output | null): StatsFilter {
  const { id = '', labelSelector = {} } = filter ?? {};
  return { id, labels: labelSelector };
}
