import type { StreamPodSandboxMetricsRequest__Output } from '../../gen/runtime/v1/StreamPodSandboxMetricsRequest.ts';
import type { StreamPodSandboxMetricsResponse } from '../../gen/runtime/v1/StreamPodSandboxMetricsResponse.ts';
import { podMetricsMessage } from './list-pod-sandbox-metrics.ts';
import type { StatsStream } from './stats-call.ts';

/** CRI StreamPodSandboxMetrics (KEP-5825): as ListPodSandboxMetrics, each sandbox once, in batches that are never empty. */
export const streamPodSandboxMetrics: StatsStream<
  StreamPodSandboxMetricsRequest__Output,
  StreamPodSandboxMetricsResponse
> = async function* ({ stats }, _request, { signal }) {
  for await (const pods of stats.metrics({ signal }))
    yield { podSandboxMetrics: pods.map(podMetricsMessage) };
};
