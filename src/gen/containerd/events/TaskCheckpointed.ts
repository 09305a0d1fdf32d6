// Original file: proto/containerd/task-events.proto


export interface TaskCheckpointed {
  'containerId'?: (string);
  'checkpoint'?: (string);
}

export interface TaskCheckpointed__Output {
  'containerId': (string);
  'checkpoint': (string);
}
