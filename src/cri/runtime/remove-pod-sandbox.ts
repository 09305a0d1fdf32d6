import type { RemovePodSandboxRequest__Output } from '../../gen/runtime/v1/RemovePodSandboxRequest.ts';
import type { RemovePodSandboxResponse } from '../../gen/runtime/v1/RemovePodSandboxResponse.ts';
import { wrap } from '../../lib/errors.ts';
import { removeSandbox } from '../../pod/sandbox/remove.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** CRI RemovePodSandbox: a running sandbox is stopped first; idempotent; an unknown id is success. */
export const removePodSandbox: Unary<RemovePodSandboxRequest__Output, RemovePodSandboxResponse> = async (
  deps,
  request,
  call,
) => {
  const id = requireId('pod_sandbox_id', request.podSandboxId);
  await removeSandbox(deps.pods, id, call.remainingMs).catch((error: unknown) => {
    throw wrap(`failed to remove sandbox "${id}"`, error);
  });
  return {};
};
