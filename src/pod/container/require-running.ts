import { BerthError } from '../../lib/errors.ts';
import { type Container, criContainerState } from './container.ts';

/** Throws FAILED_PRECONDITION in containerd's words. */
export function requireRunning(container: Container): void {
  const state = criContainerState(container.state);
  if (state !== 'CONTAINER_RUNNING')
    throw new BerthError('FAILED_PRECONDITION', `container is in ${state} state`);
}
