// Original file: proto/containerd/runc-options.proto


export interface Options {
  'noPivotRoot'?: (boolean);
  'noNewKeyring'?: (boolean);
  'shimCgroup'?: (string);
  'ioUid'?: (number);
  'ioGid'?: (number);
  'binaryName'?: (string);
  'root'?: (string);
  'criuPath'?: (string);
  'systemdCgroup'?: (boolean);
  'criuImagePath'?: (string);
  'criuWorkPath'?: (string);
  'taskApiAddress'?: (string);
  'taskApiVersion'?: (number);
}

export interface Options__Output {
  'noPivotRoot': (boolean);
  'noNewKeyring': (boolean);
  'shimCgroup': (string);
  'ioUid': (number);
  'ioGid': (number);
  'binaryName': (string);
  'root': (string);
  'criuPath': (string);
  'systemdCgroup': (boolean);
  'criuImagePath': (string);
  'criuWorkPath': (string);
  'taskApiAddress': (string);
  'taskApiVersion': (number);
}
