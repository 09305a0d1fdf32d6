import type { RunPodSandboxRequest__Output } from '../../gen/runtime/v1/RunPodSandboxRequest.ts';
import type { RunPodSandboxResponse } from '../../gen/runtime/v1/RunPodSandboxResponse.ts';
import { planSandbox } from '../../pod/sandbox/plan.ts';
import { runSandbox } from '../../pod/sandbox/run.ts';
import type { Unary } from '../call.ts';

/**
 * CRI RunPodSandbox: creates and starts a pod's sandbox; ready when it returns. The work goes on when the client goes
 * away: its retry joins it.
 */
export const runPodSandbox: Unary<RunPodSandboxRequest__Output, RunPodSandboxResponse> = async (
  deps,
  request,
  call,
) => {
  const plan = planSandbox(request.config, request.runtimeHandler, deps.config);
  const options = { remainingMs: call.remainingMs, signal: deps.stopping };
  return { podSandboxId: await runSandbox(deps.pods, plan, options) };
};
