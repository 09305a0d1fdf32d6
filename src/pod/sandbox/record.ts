/**
 * What is on disk for one sandbox: `<root>/sandboxes/<id>/`.
 *
 * - `sandbox.json`, the intent: written and synced before the first side effect, never changed. It alone is enough to
 *   undo everything that the sandbox ever had.
 * - `state.json`, how far it came: replaced as a whole at each phase, not synced. It matters after a crash of Berth, which
 *   loses no page cache; after a power loss every namespace is gone and the intent is all that is needed. A state that is
 *   missing or torn therefore reads as half-made.
 * - `hostname`, `hosts`, `resolv.conf`: what containers mount.
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PodSandboxConfig__Output } from '../../gen/runtime/v1/PodSandboxConfig.ts';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import type { AttachmentRecord } from '../../network/attachment.ts';
import type { Step } from '../../network/cni/types.ts';
import type { Result } from '../../network/cni/types.ts';
import type { PrimaryIp } from '../../network/primary-ip.ts';

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
  readonly namespaces: { readonly network?: string; readonly ipc?: string; readonly uts?: string };
  /** Mount point of the pod's /dev/shm; '' when it uses the node's. */
  readonly shm: string;
  /** '' with the node's UTS namespace. */
  readonly hostname: string;
  readonly cgroupParent: string;
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
 *    └── failed and an undo failed too ──▶ unknown (kept, so that Stop and Remove can finish it)
 * ```
 */
export type Phase = 'creating' | 'ready' | 'stopping' | 'stopped' | 'unknown';

export interface SandboxState {
  readonly phase: Phase;
  /** One result for each attachment that was made, in order. */
  readonly results: readonly Result[];
  readonly primaryIp: PrimaryIp | undefined;
  readonly timeline: readonly Step[];
  readonly process: PluginProcess | undefined;
  /** Why it is not ready, when nobody asked it to stop. */
  readonly reason: string;
}

export const newState: SandboxState = {
  phase: 'creating',
  results: [],
  primaryIp: undefined,
  timeline: [],
  process: undefined,
  reason: '',
};

/** What is read back: a state of undefined means half-made. */
export interface StoredSandbox {
  readonly record: SandboxRecord;
  readonly state: SandboxState | undefined;
}

const INTENT = 'sandbox.json';
const STATE = 'state.json';

/** The directory of records. */
export class SandboxFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = join(root, 'sandboxes');
  }

  directory(id: string): string {
    return join(this.#root, id);
  }

  async writeIntent(record: SandboxRecord): Promise<void> {
    await mkdir(this.directory(record.id), { recursive: true, mode: 0o700 });
    await writeFileAtomic(join(this.directory(record.id), INTENT), JSON.stringify(record), { sync: true });
  }

  async writeState(id: string, state: SandboxState): Promise<void> {
    await writeFileAtomic(join(this.directory(id), STATE), JSON.stringify(state));
  }

  /**
   * Forgets a sandbox. The directory is renamed first, so that a crash in the middle leaves no half of a record.
   */
  async remove(id: string): Promise<void> {
    const doomed = join(this.#root, `.removed-${id}`);
    await rename(this.directory(id), doomed);
    await rm(doomed, { recursive: true, force: true });
  }

  /** Every sandbox on disk. `unreadable` names directories whose intent cannot be read: kept for a person to look at. */
  async readAll(): Promise<{ sandboxes: StoredSandbox[]; unreadable: string[] }> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#root);
    const sandboxes: StoredSandbox[] = [];
    const unreadable: string[] = [];
    await Promise.all(
      names.map(async (name) => {
        if (name.startsWith('.removed-')) return rm(join(this.#root, name), { recursive: true, force: true });
        const record = await readJson<SandboxRecord>(join(this.#root, name, INTENT));
        if (record?.id === name) {
          sandboxes.push({ record, state: await readJson<SandboxState>(join(this.#root, name, STATE)) });
        } else if ((await readdir(join(this.#root, name))).some((file) => file === INTENT)) {
          unreadable.push(join(this.#root, name));
        } else {
          // A crash before the intent was named: nothing else was done yet.
          await rm(join(this.#root, name), { recursive: true, force: true });
        }
      }),
    );
    return { sandboxes, unreadable };
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
