// Original file: proto/containerd/cgroups-v2.proto

import type { Long } from '@grpc/proto-loader';

export interface MemoryStat {
  'anon'?: (number | string | Long);
  'file'?: (number | string | Long);
  'fileMapped'?: (number | string | Long);
  'inactiveFile'?: (number | string | Long);
  'activeFile'?: (number | string | Long);
  'pgfault'?: (number | string | Long);
  'pgmajfault'?: (number | string | Long);
  'usage'?: (number | string | Long);
  'usageLimit'?: (number | string | Long);
}

export interface MemoryStat__Output {
  'anon': (string);
  'file': (string);
  'fileMapped': (string);
  'inactiveFile': (string);
  'activeFile': (string);
  'pgfault': (string);
  'pgmajfault': (string);
  'usage': (string);
  'usageLimit': (string);
}
