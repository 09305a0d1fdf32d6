// Original file: proto/containerd/shim-task.proto


export interface StartRequest {
  'id'?: (string);
  'execId'?: (string);
}

export interface StartRequest__Output {
  'id': (string);
  'execId': (string);
}
