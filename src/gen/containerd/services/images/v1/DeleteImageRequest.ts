// Original file: proto/containerd/images.proto

import type { Descriptor as _containerd_types_Descriptor, Descriptor__Output as _containerd_types_Descriptor__Output } from '../../../../containerd/types/Descriptor.ts';

export interface DeleteImageRequest {
  'name'?: (string);
  'sync'?: (boolean);
  'target'?: (_containerd_types_Descriptor | null);
}

export interface DeleteImageRequest__Output {
  'name': (string);
  'sync': (boolean);
  'target': (_containerd_types_Descriptor__Output | null);
}
