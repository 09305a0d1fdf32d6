// Original file: proto/containerd/diff.proto

import type { Mount as _containerd_types_Mount, Mount__Output as _containerd_types_Mount__Output } from '../../../../containerd/types/Mount.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../../google/protobuf/Timestamp.ts';

export interface DiffRequest {
  'left'?: (_containerd_types_Mount)[];
  'right'?: (_containerd_types_Mount)[];
  'mediaType'?: (string);
  'ref'?: (string);
  'labels'?: ({[key: string]: string});
  'sourceDateEpoch'?: (_google_protobuf_Timestamp | null);
}

export interface DiffRequest__Output {
  'left': (_containerd_types_Mount__Output)[];
  'right': (_containerd_types_Mount__Output)[];
  'mediaType': (string);
  'ref': (string);
  'labels': ({[key: string]: string});
  'sourceDateEpoch': (_google_protobuf_Timestamp__Output | null);
}
