import type { Step } from '../../network/cni/types.ts';
import type { SandboxFiles, SandboxRecord, SandboxState } from './record.ts';
import { newState } from './record.ts';

export type CriSandboxState = 'SANDBOX_READY' | 'SANDBOX_NOTREADY';

/** The CRI's state, derived from the recorded phase: state and facts cannot disagree. */
export function criState(state: SandboxState): CriSandboxState {
  return state.phase === 'ready' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY';
}

/** Steps kept of one sandbox: ADD and DEL of long chains, with retries. */
const TIMELINE_MOST = 64;

/** A sandbox in memory: its immutable record, and its state, changed only through update(). */
export class Sandbox {
  readonly record: SandboxRecord;
  readonly #files: SandboxFiles;
  #state: SandboxState;
  #writing: Promise<void> = Promise.resolve();

  constructor(record: SandboxRecord, files: SandboxFiles, state: SandboxState = newState) {
    this.record = record;
    this.#files = files;
    this.#state = state;
  }

  get id(): string {
    return this.record.id;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** `namespace/name` of the pod. */
  get pod(): string {
    const { namespace = '', name = '' } = this.record.config.metadata ?? {};
    return `${namespace}/${name}`;
  }

  /** Changes the state on disk, then in memory; changes follow one another in the order of the calls. */
  update(change: Partial<SandboxState>): Promise<void> {
    const written = this.#writing.then(async () => {
      const next = { ...this.#state, ...change };
      await this.#files.writeState(this.id, next);
      this.#state = next;
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Adds to the timeline, in memory only: the next update writes it. */
  addStep(step: Step): void {
    this.#state = { ...this.#state, timeline: [...this.#state.timeline, step].slice(-TIMELINE_MOST) };
  }
}
