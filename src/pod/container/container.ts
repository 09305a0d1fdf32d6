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

export class Container extends Recorded<ContainerRecord, ContainerState> {
  constructor(record: ContainerRecord, files: ContainerFiles, state: ContainerState = newContainerState) {
    super(record, files, state);
  }
}
