// Original file: proto/containerd/cgroups-v1.proto

import type { Long } from '@grpc/proto-loader';

export interface CPUUsage {
  'total'?: (number | string | Long);
  'kernel'?: (number | string | Long);
  'user'?: (number | string | Long);
}

export interface CPUUsage__Output {
  'total': (string);
  'kernel': (string);
  'user': (string);
}
