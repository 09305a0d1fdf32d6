// Original file: proto/containerd/types.proto

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../../google/protobuf/Any.ts';

export interface RuntimeRequest {
  'runtimePath'?: (string);
  'options'?: (_google_protobuf_Any | null);
}

export interface RuntimeRequest__Output {
  'runtimePath': (string);
  'options': (_google_protobuf_Any__Output | null);
}
