import { Recorded } from '../recorded.ts';
import {
  newContainerState,
  type ContainerFiles,
  type ContainerRecord,
  type ContainerState,
} from './record.ts';

export type CriContainerState =
  | 'CONTAINER_CREATED'
  | 'CONTAINER_RUNNING'
  | 'CONTAINER_EXITED'
  | 'CONTAINER_UNKNOWN';

/** The CRI's state, derived from the recorded phase. */
export function criContainerState({ phase }: ContainerState): CriContainerState {
  switch (phase) {
    case 'created':
      return 'CONTAINER_CREATED';
    case 'running':
      return 'CONTAINER_RUNNING';
    case 'exited':
      return 'CONTAINER_EXITED';
    case 'creating':
    case 'unknown':
      return 'CONTAINER_UNKNOWN';
  }
}

/** A container in memory. */
export class Container extends Recorded<ContainerRecord, ContainerState> {
  /** Told by the kernel, before or after the exit: decides the exit's reason. */
  oomKilled = false;
  /** Its stop signal was sent: a second one makes many programs give up their work at once. */
  stopSignalled = false;
  #ended: () => void = () => undefined;
  /** Resolves when its process has ended and its state says so. */
  readonly ended = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });

  constructor(record: ContainerRecord, files: ContainerFiles, state: ContainerState = newContainerState) {
    super(record, files, state);
    if (state.phase === 'exited') this.#ended();
  }

  protected override note(change: Partial<ContainerState>): void {
    super.note(change);
    if (this.state.phase === 'exited') this.#ended();
  }
}
