import type { BegunStep, Result, Step } from '../../network/cni/types.ts';
import { Recorded } from '../recorded.ts';
import { newState, type SandboxFiles, type SandboxRecord, type SandboxState } from './record.ts';

export type CriSandboxState = 'SANDBOX_READY' | 'SANDBOX_NOTREADY';

/** The CRI's state, derived from the recorded phase: state and facts cannot disagree. */
export function criState(state: SandboxState): CriSandboxState {
  return state.phase === 'ready' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY';
}

/** Whether it ever was ready: then its end is an event, however late Stop succeeds. */
export function wasReady({ phase, wasReady }: SandboxState): boolean {
  return phase === 'ready' || wasReady;
}

/** Steps kept of one sandbox: ADD and DEL of long chains, with retries. */
const TIMELINE_MOST = 64;

export class Sandbox extends Recorded<SandboxRecord, SandboxState> {
  #running: readonly BegunStep[] = [];

  constructor(record: SandboxRecord, files: SandboxFiles, state: SandboxState = newState) {
    super(record, files, state);
  }

  /** `namespace/name` of the pod. */
  get pod(): string {
    const { namespace = '', name = '' } = this.record.config.metadata ?? {};
    return `${namespace}/${name}`;
  }

  /** The plugin that is asked now and, below it, the last executable that it has delegated to. */
  get running(): readonly BegunStep[] {
    return this.#running;
  }

  beginStep(step: BegunStep): void {
    this.#running = step.delegatedBy === undefined ? [step] : [...this.#running.slice(0, 1), step];
  }

  /** Adds to the timeline, in memory only: the next update writes it. */
  addStep(step: Step): void {
    if (step.delegatedBy === undefined) this.#running = [];
    this.note({ timeline: [...this.state.timeline, step].slice(-TIMELINE_MOST) });
  }

  /** Keeps what the network gave, in memory only, until the next update writes it: should anything fail from now on it has to be given back. */
  noteResults(results: readonly Result[]): void {
    this.note({ results });
  }
}
