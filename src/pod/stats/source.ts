import type { ContainerMetadata } from '../../gen/runtime/v1/ContainerMetadata.ts';
import type { PodSandboxMetadata } from '../../gen/runtime/v1/PodSandboxMetadata.ts';
import type { EngineUsage } from '../engine/engine.ts';

type StringMap = Readonly<Record<string, string>>;

/** A container, as far as statistics need to know it. */
export interface MeasuredContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly metadata: ContainerMetadata | null;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  /** The image's name, for metrics. */
  readonly image: string;
  readonly running: boolean;
  /** `linux.cgroupsPath` of its runtime spec; '' when it is not known. */
  readonly cgroupsPath: string;
  /** Its shim tells what it uses, as of what runs in a virtual machine: the host's cgroup, if it has one, shows something else. */
  readonly toldByShim: boolean;
  /** Nanoseconds since the epoch; 0 before it starts. */
  readonly startedAt: bigint;
  /** The directory with its snapshot, by which kubelet finds the file system that it is on; '' when it is not known. */
  readonly snapshotDirectory: string;
}

/** A sandbox, as far as statistics need to know it. */
export interface MeasuredSandbox {
  readonly id: string;
  readonly metadata: PodSandboxMetadata | null;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  readonly ready: boolean;
  /** cgroup_parent of its configuration; '' when the pod has no cgroup of its own. */
  readonly cgroupParent: string;
  /** Path of its network namespace; '' when it uses the node's. */
  readonly netns: string;
}

/** What a container has written to its root file system. */
export interface WrittenLayer {
  readonly bytes: number;
  readonly inodes: number;
}

/** Where the objects to measure come from. The lists are answered from memory. */
export interface StatsSource {
  containers(): readonly MeasuredContainer[];
  sandboxes(): readonly MeasuredSandbox[];
  /** Measures the writable layer, which can take long; throws when it cannot be measured. */
  writtenLayer(containerId: string): Promise<WrittenLayer>;
  /** What the containers' shims tell, by id. */
  told(
    containerIds: readonly string[],
    options: { readonly signal?: AbortSignal },
  ): Promise<ReadonlyMap<string, EngineUsage>>;
}
