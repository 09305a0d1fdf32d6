import type { StreamPodSandboxStatsRequest__Output } from '../../gen/runtime/v1/StreamPodSandboxStatsRequest.ts';
import type { StreamPodSandboxStatsResponse } from '../../gen/runtime/v1/StreamPodSandboxStatsResponse.ts';
import { sandboxFilter } from './list-pod-sandbox-stats.ts';
import { podStatsMessage } from './pod-sandbox-stats.ts';
import type { StatsStream } from './stats-call.ts';

/** CRI StreamPodSandboxStats (KEP-5825): as ListPodSandboxStats, each sandbox once, in batches that are never empty. */
export const streamPodSandboxStats: StatsStream<
  StreamPodSandboxStatsRequest__Output,
  StreamPodSandboxStatsResponse
> = async function* ({ stats }, request, { signal }) {
  for await (const usages of stats.sandboxes(sandboxFilter(request.filter), { signal })) {
    yield { podSandboxStats: usages.map(podStatsMessage) };
  }
};
