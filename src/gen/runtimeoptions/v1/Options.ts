// Original file: proto/containerd/shim-options.proto


export interface Options {
  'typeUrl'?: (string);
  'configPath'?: (string);
  'configBody'?: (Buffer | Uint8Array | string);
}

export interface Options__Output {
  'typeUrl': (string);
  'configPath': (string);
  'configBody': (Buffer);
}
