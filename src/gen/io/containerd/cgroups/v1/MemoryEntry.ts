// Original file: proto/containerd/cgroups-v1.proto

import type { Long } from '@grpc/proto-loader';

export interface MemoryEntry {
  'limit'?: (number | string | Long);
  'usage'?: (number | string | Long);
}

export interface MemoryEntry__Output {
  'limit': (string);
  'usage': (string);
}
