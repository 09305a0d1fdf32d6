/** What is recorded of a sandbox. What containers mount of it (hostname, hosts, resolv.conf, shm) is in its state directory. */
import type { LinuxContainerResources__Output } from '../../gen/runtime/v1/LinuxContainerResources.ts';
import type { PodSandboxConfig__Output } from '../../gen/runtime/v1/PodSandboxConfig.ts';
import type { AttachmentRecord } from '../../network/attachment.ts';
import type { Result, Step } from '../../network/cni/types.ts';
import type { PrimaryIp } from '../../network/primary-ip.ts';
import type { SelinuxLabels } from '../../oci/selinux.ts';
import type { Files } from '../../lib/atomic-file.ts';
import { RecordFiles, type Stored } from '../record-files.ts';

/** The intent. Times are nanoseconds since the epoch in decimal. */
export interface SandboxRecord {
  readonly version: 1;
  readonly id: string;
  readonly reservedName: string;
  readonly createdAt: string;
  /** /proc/sys/kernel/random/boot_id at creation: with another one every namespace is gone. */
  readonly bootId: string;
  readonly runtimeHandler: string;
  readonly config: PodSandboxConfig__Output;
  /** Where the pod's own namespaces are pinned; one that it shares with the node is absent. */
  readonly namespaces: {
    readonly network?: string;
    readonly ipc?: string;
    readonly uts?: string;
    readonly user?: string;
  };
  /** Mount point of the pod's /dev/shm; '' when it uses the node's. */
  readonly shm: string;
  /** '' with the node's UTS namespace. */
  readonly hostname: string;
  readonly cgroupParent: string;
  /** Absent on a node without SELinux. */
  readonly selinux?: SelinuxLabels;
  readonly attachments: readonly AttachmentRecord[];
}

/** A plugin executable that runs: recovery ends its group before it pays the DEL. */
export interface PluginProcess {
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat: a pid alone may be somebody else's. */
  readonly startTime: string;
}

/**
 * ```
 *            ADD and all done            Stop                 DEL paid or owed
 * creating ───────────────────▶ ready ─────────▶ stopping ─────────────────────▶ stopped
 *    │                            │                                                ▲
 *    │ failed, undone: record     └── namespaces gone (reboot, killed) ────────────┘
 *    │ removed
 *    └── failed and an undo failed too ──▶ unknown (kept, so that Stop and Remove can finish it);
 *        so is one that a start of Berth could not deal with
 * ```
 */
export type Phase = 'creating' | 'ready' | 'stopping' | 'stopped' | 'unknown';

export interface SandboxState {
  readonly phase: Phase;
  /** Whether it has been ready, when it is so no more. */
  readonly wasReady: boolean;
  /** One result for each attachment that was made, in order; while creating then that of the plugins of the next that have answered. */
  readonly results: readonly Result[];
  readonly primaryIp: PrimaryIp | undefined;
  readonly timeline: readonly Step[];
  readonly process: PluginProcess | undefined;
  /** The pause process; 0 without one. */
  readonly pausePid: number;
  /** Its start time, as a PluginProcess's. */
  readonly pauseStartTime?: string;
  /** True from before the engine is asked for a pause process until it has deleted it. */
  readonly pauseMade: boolean;
  /** As last told by UpdatePodSandboxResources; null until then, when the configuration says. */
  readonly overhead: LinuxContainerResources__Output | null;
  readonly resources: LinuxContainerResources__Output | null;
  /** Why it is not ready, when nobody asked it to stop. */
  readonly reason: string;
}

export const newState: SandboxState = {
  phase: 'creating',
  wasReady: false,
  results: [],
  primaryIp: undefined,
  timeline: [],
  process: undefined,
  pausePid: 0,
  pauseMade: false,
  overhead: null,
  resources: null,
  reason: '',
};

export type StoredSandbox = Stored<SandboxRecord, SandboxState>;
export type SandboxFiles = RecordFiles<SandboxRecord, SandboxState>;

export function sandboxFiles(root: string, files: Files): SandboxFiles {
  return new RecordFiles(root, 'sandboxes', files);
}
