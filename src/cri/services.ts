import type { GrpcObject, ServiceClientConstructor, ServiceDefinition } from '@grpc/grpc-js';
import { loadService } from '../lib/proto.ts';
import { explainSandbox, forgiveDebt, listDebts, retryDebt } from './admin/admin.ts';
import type { ServerStream, Unary } from './call.ts';
import { getContainerEvents } from './runtime/get-container-events.ts';
import { listPodSandbox } from './runtime/list-pod-sandbox.ts';
import { podSandboxStatus } from './runtime/pod-sandbox-status.ts';
import { removePodSandbox } from './runtime/remove-pod-sandbox.ts';
import { runPodSandbox } from './runtime/run-pod-sandbox.ts';
import { runtimeConfig } from './runtime/runtime-config.ts';
import { status } from './runtime/status.ts';
import { stopPodSandbox } from './runtime/stop-pod-sandbox.ts';
import { streamPodSandboxes } from './runtime/stream-pod-sandboxes.ts';
import { updateRuntimeConfig } from './runtime/update-runtime-config.ts';
import { version } from './runtime/version.ts';

/** A service with its RPCs; one that is not named here answers UNIMPLEMENTED. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly unary: Readonly<Record<string, Unary<never, object>>>;
  readonly streams: Readonly<Record<string, ServerStream<never, object>>>;
}

/** Everything that is served on the socket. */
export function services(): Service[] {
  return [
    {
      definition: definitionOf('runtime/v1/api.proto', 'runtime.v1.RuntimeService'),
      unary: {
        Version: version,
        Status: status,
        RuntimeConfig: runtimeConfig,
        UpdateRuntimeConfig: updateRuntimeConfig,
        RunPodSandbox: runPodSandbox,
        StopPodSandbox: stopPodSandbox,
        RemovePodSandbox: removePodSandbox,
        PodSandboxStatus: podSandboxStatus,
        ListPodSandbox: listPodSandbox,
      },
      streams: { StreamPodSandboxes: streamPodSandboxes, GetContainerEvents: getContainerEvents },
    },
    { definition: definitionOf('runtime/v1/api.proto', 'runtime.v1.ImageService'), unary: {}, streams: {} },
    {
      definition: definitionOf('berth/v1/admin.proto', 'berth.v1.Admin'),
      unary: {
        ListDebts: listDebts,
        RetryDebt: retryDebt,
        ForgiveDebt: forgiveDebt,
        ExplainSandbox: explainSandbox,
      },
      streams: {},
    },
  ];
}

function definitionOf(file: string, name: string): ServiceDefinition {
  const found = name.split('.').reduce<unknown>((at, part) => (at as GrpcObject)[part], loadService(file));
  return (found as ServiceClientConstructor).service;
}
