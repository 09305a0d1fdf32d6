// Original file: proto/containerd/shim-task.proto


export interface ResizePtyRequest {
  'id'?: (string);
  'execId'?: (string);
  'width'?: (number);
  'height'?: (number);
}

export interface ResizePtyRequest__Output {
  'id': (string);
  'execId': (string);
  'width': (number);
  'height': (number);
}
