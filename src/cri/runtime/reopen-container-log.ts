import type { ReopenContainerLogRequest__Output } from '../../gen/runtime/v1/ReopenContainerLogRequest.ts';
import type { ReopenContainerLogResponse } from '../../gen/runtime/v1/ReopenContainerLogResponse.ts';
import { BerthError } from '../../lib/errors.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI ReopenContainerLog: kubelet has renamed the log file; a new one is begun. */
export const reopenContainerLog: Unary<
  ReopenContainerLogRequest__Output,
  ReopenContainerLogResponse
> = async ({ pods }, request) => {
  const container = pods.containers.store.get(requireId('container_id', request.containerId));
  if (container.state.phase !== 'running') {
    throw new BerthError('FAILED_PRECONDITION', `container "${container.id}" is not running`);
  }
  await pods.containers.pumps.reopen(container.id);
  return {};
};
