import type { StreamContainerStatsRequest__Output } from '../../gen/runtime/v1/StreamContainerStatsRequest.ts';
import type { StreamContainerStatsResponse } from '../../gen/runtime/v1/StreamContainerStatsResponse.ts';
import { containerStatsMessage } from './container-stats.ts';
import { containerFilter } from './list-container-stats.ts';
import type { StatsStream } from './stats-call.ts';

/** CRI StreamContainerStats (KEP-5825): as ListContainerStats, each container once, in batches that are never empty. */
export const streamContainerStats: StatsStream<
  StreamContainerStatsRequest__Output,
  StreamContainerStatsResponse
> = async function* ({ stats }, request, { signal }) {
  for await (const usages of stats.containers(containerFilter(request.filter), { signal })) {
    yield { containerStats: usages.map(containerStatsMessage) };
  }
};
