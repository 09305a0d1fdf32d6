import type { Descriptor__Output } from '../gen/containerd/types/Descriptor.ts';
import type { Descriptor as WireDescriptor } from '../gen/containerd/types/Descriptor.ts';
import type { Mount__Output } from '../gen/containerd/types/Mount.ts';

export type Labels = Readonly<Record<string, string>>;

/** One mount of a snapshot, with mount(8)'s type and options. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Below the root of what is mounted; '' for the root itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** An OCI descriptor: content by digest. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations: Labels;
}

export function toMounts(mounts: readonly Mount__Output[]): Mount[] {
  return mounts.map(({ type, source, target, options }) => ({ type, source, target, options }));
}

export function fromMounts(mounts: readonly Mount[]): { options: string[] }[] {
  return mounts.map((mount) => ({ ...mount, options: [...mount.options] }));
}

/** A message without its descriptor says nothing: then all of it is empty. */
export function toDescriptor(wire: Descriptor__Output | null): Descriptor {
  if (wire === null) return { mediaType: '', digest: '', size: 0, annotations: {} };
  const { mediaType, digest, size, annotations } = wire;
  return { mediaType, digest, size: Number(size), annotations };
}

export function fromDescriptor(descriptor: Descriptor): WireDescriptor {
  return { ...descriptor, annotations: { ...descriptor.annotations } };
}
