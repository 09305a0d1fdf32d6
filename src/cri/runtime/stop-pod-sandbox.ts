import type { StopPodSandboxRequest__Output } from '../../gen/runtime/v1/StopPodSandboxRequest.ts';
import type { StopPodSandboxResponse } from '../../gen/runtime/v1/StopPodSandboxResponse.ts';
import { wrap } from '../../lib/errors.ts';
import { stopSandbox } from '../../pod/sandbox/stop.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI StopPodSandbox: idempotent; an unknown id is success. Resources of the sandbox's network are given back. */
export const stopPodSandbox: Unary<StopPodSandboxRequest__Output, StopPodSandboxResponse> = async (
  deps,
  request,
  call,
) => {
  const id = requireId('pod_sandbox_id', request.podSandboxId);
  await stopSandbox(deps.pods, id, call.remainingMs).catch((error: unknown) => {
    throw wrap(`failed to stop sandbox "${id}"`, error);
  });
  return {};
};
