// Original file: proto/containerd/runc-options.proto


export interface ProcessDetails {
  'execId'?: (string);
}

export interface ProcessDetails__Output {
  'execId': (string);
}
