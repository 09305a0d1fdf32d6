import type { ProtoGrpcType } from '../gen/containerd.ts';
import { loadService } from '../lib/proto.ts';

/** containerd's packages, as proto/containerd has them: services with their methods, messages with their codecs. */
export type ContainerdApi = ProtoGrpcType['containerd'] &
  Pick<ProtoGrpcType, 'io' | 'runtimeoptions' | 'ttrpc'>;

/** Loads proto/containerd. */
export function loadContainerd(): ContainerdApi {
  const loaded = loadService('containerd/containerd.proto') as unknown as ProtoGrpcType;
  const { containerd, io, runtimeoptions, ttrpc } = loaded;
  return { ...containerd, io, runtimeoptions, ttrpc };
}
