import type { UpdateContainerResourcesRequest__Output } from '../../gen/runtime/v1/UpdateContainerResourcesRequest.ts';
import type { UpdateContainerResourcesResponse } from '../../gen/runtime/v1/UpdateContainerResourcesResponse.ts';
import { updateContainer } from '../../pod/container/update.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI UpdateContainerResources: changes limits of a created or running container; what is not given stays. */
export const updateContainerResources: Unary<
  UpdateContainerResourcesRequest__Output,
  UpdateContainerResourcesResponse
> = async (deps, request, call) => {
  const container = deps.pods.containers.store.get(requireId('container_id', request.containerId));
  if (request.linux !== null) await updateContainer(deps.pods, container, request.linux, call.signal);
  return {};
};
