import type { ContainerStatus } from '../../gen/runtime/v1/ContainerStatus.ts';
import type { PodSandboxStatus } from '../../gen/runtime/v1/PodSandboxStatus.ts';
import type { PodSandboxStatusRequest__Output } from '../../gen/runtime/v1/PodSandboxStatusRequest.ts';
import type { PodSandboxStatusResponse } from '../../gen/runtime/v1/PodSandboxStatusResponse.ts';
import type { SandboxState } from '../../pod/sandbox/record.ts';
import { criState, type Sandbox } from '../../pod/sandbox/sandbox.ts';
import { hasNetwork } from '../../pod/sandbox/teardown.ts';
import { nowNanos } from '../../lib/time.ts';
import type { Unary } from '../call.ts';
import type { CriDeps } from '../deps.ts';
import { containerStatusOf } from './container-status.ts';
import { requireId } from './require-id.ts';
import { sandboxInfo } from './sandbox-info.ts';

/** CRI PodSandboxStatus: answered from memory; verbose adds how the pod got its IP. */
export const podSandboxStatus: Unary<PodSandboxStatusRequest__Output, PodSandboxStatusResponse> = (
  deps,
  request,
) => {
  const sandbox = deps.pods.store.get(requireId('pod_sandbox_id', request.podSandboxId));
  return {
    status: statusOf(sandbox, stateNow(deps, sandbox)),
    info: request.verbose ? { info: JSON.stringify(sandboxInfo(deps, sandbox)) } : {},
    containersStatuses: containerStatuses(deps, sandbox),
    timestamp: nowNanos().toString(),
  };
};

/**
 * The statuses of all containers of a sandbox, the newest first: with evented PLEG kubelet takes the first of a name for the one
 * that matters, and would start another beside one that runs.
 */
export function containerStatuses({ pods }: CriDeps, sandbox: Sandbox): ContainerStatus[] {
  return pods.containers.store.ofSandbox(sandbox.id).map(containerStatusOf).reverse();
}

/**
 * A namespace that somebody else has removed takes the address with it: by the missing IP kubelet knows that the pod needs a new
 * sandbox.
 */
function stateNow({ pods }: CriDeps, sandbox: Sandbox): SandboxState {
  return hasNetwork(pods, sandbox) ? sandbox.state : { ...sandbox.state, primaryIp: undefined };
}

/** The status of a sandbox in a given state. A sandbox that is not ready has no IP: its namespace is gone or going. */
export function statusOf(sandbox: Sandbox, state: SandboxState): PodSandboxStatus {
  const { id, config, createdAt, runtimeHandler } = sandbox.record;
  const ip = state.phase === 'ready' ? state.primaryIp : undefined;
  return {
    id,
    metadata: config.metadata,
    state: criState(state),
    createdAt,
    network: {
      ip: ip?.ip ?? '',
      additionalIps: (ip?.additionalIps ?? []).map((additional) => ({ ip: additional })),
    },
    linux: { namespaces: { options: config.linux?.securityContext?.namespaceOptions ?? {} } },
    labels: config.labels,
    annotations: config.annotations,
    runtimeHandler,
  };
}
