// Original file: proto/containerd/shim-task.proto


export interface DeleteRequest {
  'id'?: (string);
  'execId'?: (string);
}

export interface DeleteRequest__Output {
  'id': (string);
  'execId': (string);
}
