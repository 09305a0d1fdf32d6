import type { RemoveContainerRequest__Output } from '../../gen/runtime/v1/RemoveContainerRequest.ts';
import type { RemoveContainerResponse } from '../../gen/runtime/v1/RemoveContainerResponse.ts';
import { wrap } from '../../lib/errors.ts';
import { removeContainer as remove } from '../../pod/container/remove.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI RemoveContainer: a running container is killed first; idempotent; an unknown id is success. */
export const removeContainer: Unary<RemoveContainerRequest__Output, RemoveContainerResponse> = async (
  deps,
  request,
) => {
  const id = requireId('container_id', request.containerId);
  await remove(deps.pods, id).catch((error: unknown) => {
    throw wrap(`failed to remove container "${id}"`, error);
  });
  return {};
};
