import type { ListMetricDescriptorsResponse } from '../../gen/runtime/v1/ListMetricDescriptorsResponse.ts';
import { baseLabels, descriptors } from '../../pod/stats/metrics/descriptors.ts';

/** CRI ListMetricDescriptors: always the same, as kubelet asks once when it starts. */
export function listMetricDescriptors(): ListMetricDescriptorsResponse {
  return {
    descriptors: Object.entries(descriptors).map(([name, { help, labels }]) => ({
      name,
      help,
      labelKeys: [...baseLabels, ...labels],
    })),
  };
}
