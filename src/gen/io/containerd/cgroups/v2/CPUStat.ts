// Original file: proto/containerd/cgroups-v2.proto

import type { Long } from '@grpc/proto-loader';

export interface CPUStat {
  'usageUsec'?: (number | string | Long);
  'userUsec'?: (number | string | Long);
  'systemUsec'?: (number | string | Long);
}

export interface CPUStat__Output {
  'usageUsec': (string);
  'userUsec': (string);
  'systemUsec': (string);
}
