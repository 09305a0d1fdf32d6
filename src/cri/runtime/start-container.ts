import type { StartContainerRequest__Output } from '../../gen/runtime/v1/StartContainerRequest.ts';
import type { StartContainerResponse } from '../../gen/runtime/v1/StartContainerResponse.ts';
import { startContainer as start } from '../../pod/container/start.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI StartContainer. */
export const startContainer: Unary<StartContainerRequest__Output, StartContainerResponse> = async (
  deps,
  request,
) => {
  const container = deps.pods.containers.store.get(requireId('container_id', request.containerId));
  await start(deps.pods, container, deps.stopping);
  return {};
};
