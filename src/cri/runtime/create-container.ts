import type { CreateContainerRequest__Output } from '../../gen/runtime/v1/CreateContainerRequest.ts';
import type { CreateContainerResponse } from '../../gen/runtime/v1/CreateContainerResponse.ts';
import { createContainer as create } from '../../pod/container/create.ts';
import { planContainer } from '../../pod/container/plan.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI CreateContainer: creates a container in a READY sandbox. The work goes on when the client goes away. */
export const createContainer: Unary<CreateContainerRequest__Output, CreateContainerResponse> = async (
  deps,
  request,
) => {
  const sandbox = deps.pods.store.get(requireId('pod_sandbox_id', request.podSandboxId));
  const plan = planContainer(request.config, sandbox);
  return { containerId: await create(deps.pods, plan, deps.stopping) };
};
