import type { StopContainerRequest__Output } from '../../gen/runtime/v1/StopContainerRequest.ts';
import type { StopContainerResponse } from '../../gen/runtime/v1/StopContainerResponse.ts';
import { wrap } from '../../lib/errors.ts';
import { stopContainer as stop } from '../../pod/container/stop.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI StopContainer: idempotent; an unknown id is success. The timeout is in seconds. */
export const stopContainer: Unary<StopContainerRequest__Output, StopContainerResponse> = async (
  deps,
  request,
  call,
) => {
  const id = requireId('container_id', request.containerId);
  const container = deps.pods.containers.store.find(id);
  if (container === undefined) return {};
  await stop(deps.pods, container, Number(request.timeout), call.signal).catch((error: unknown) => {
    throw wrap(`failed to stop container "${id}"`, error);
  });
  return {};
};
