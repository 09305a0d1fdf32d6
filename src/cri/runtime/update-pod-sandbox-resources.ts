import type { UpdatePodSandboxResourcesRequest__Output } from '../../gen/runtime/v1/UpdatePodSandboxResourcesRequest.ts';
import type { UpdatePodSandboxResourcesResponse } from '../../gen/runtime/v1/UpdatePodSandboxResourcesResponse.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/**
 * CRI UpdatePodSandboxResources: kubelet tells what it has given the pod, whose cgroup is its own to change. It is kept, and shown by
 * a verbose status.
 */
export const updatePodSandboxResources: Unary<
  UpdatePodSandboxResourcesRequest__Output,
  UpdatePodSandboxResourcesResponse
> = async (deps, request) => {
  const sandbox = deps.pods.store.get(requireId('pod_sandbox_id', request.podSandboxId));
  const { overhead, resources } = request;
  await deps.pods.locks.with(sandbox.id, async () => {
    // Removed while we waited: there is no record to write to any more.
    deps.pods.store.get(sandbox.id);
    await sandbox.update({ overhead, resources });
  });
  return {};
};
