// Original file: proto/containerd/cgroups-v1.proto

import type { MemoryEntry as _io_containerd_cgroups_v1_MemoryEntry, MemoryEntry__Output as _io_containerd_cgroups_v1_MemoryEntry__Output } from '../../../../io/containerd/cgroups/v1/MemoryEntry.ts';
import type { Long } from '@grpc/proto-loader';

export interface MemoryStat {
  'pgFault'?: (number | string | Long);
  'pgMajFault'?: (number | string | Long);
  'totalCache'?: (number | string | Long);
  'totalRss'?: (number | string | Long);
  'totalMappedFile'?: (number | string | Long);
  'totalPgFault'?: (number | string | Long);
  'totalPgMajFault'?: (number | string | Long);
  'totalInactiveFile'?: (number | string | Long);
  'totalActiveFile'?: (number | string | Long);
  'usage'?: (_io_containerd_cgroups_v1_MemoryEntry | null);
}

export interface MemoryStat__Output {
  'pgFault': (string);
  'pgMajFault': (string);
  'totalCache': (string);
  'totalRss': (string);
  'totalMappedFile': (string);
  'totalPgFault': (string);
  'totalPgMajFault': (string);
  'totalInactiveFile': (string);
  'totalActiveFile': (string);
  'usage': (_io_containerd_cgroups_v1_MemoryEntry__Output | null);
}
