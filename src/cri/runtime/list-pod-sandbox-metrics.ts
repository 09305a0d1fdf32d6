import type { ListPodSandboxMetricsRequest__Output } from '../../gen/runtime/v1/ListPodSandboxMetricsRequest.ts';
import type { ListPodSandboxMetricsResponse } from '../../gen/runtime/v1/ListPodSandboxMetricsResponse.ts';
import type { Metric as MetricMessage } from '../../gen/runtime/v1/Metric.ts';
import type { PodSandboxMetrics } from '../../gen/runtime/v1/PodSandboxMetrics.ts';
import type { Metric, PodMetrics } from '../../pod/stats/metrics/metrics.ts';
import { collect, type StatsUnary } from './stats-call.ts';
import { uint64 } from './usage-messages.ts';

/** CRI ListPodSandboxMetrics: the ready sandboxes and their running containers. */
export const listPodSandboxMetrics: StatsUnary<
  ListPodSandboxMetricsRequest__Output,
  ListPodSandboxMetricsResponse
> = async ({ stats }, _request, { signal }) => ({
  podMetrics: (await collect(stats.metrics({ signal }))).map(podMetricsMessage),
});

export function podMetricsMessage({ sandboxId, metrics, containers }: PodMetrics): PodSandboxMetrics {
  return {
    podSandboxId: sandboxId,
    metrics: metrics.map(metricMessage),
    containerMetrics: containers.map((container) => ({
      containerId: container.containerId,
      metrics: container.metrics.map(metricMessage),
    })),
  };
}

/** No timestamp: the CRI has none for what was read when it was asked for. */
function metricMessage({ name, kind, labelValues, value }: Metric): MetricMessage {
  return { name, timestamp: 0, metricType: kind, labelValues: [...labelValues], value: uint64(value) };
}
