import type { GrpcObject, ServiceClientConstructor, ServiceDefinition } from '@grpc/grpc-js';
import { loadService } from '../lib/proto.ts';
import { explainSandbox, forgiveDebt, listDebts, retryDebt } from './admin/admin.ts';
import { collectGarbage, showNetworks, testNetworks } from './admin/maintenance.ts';
import type { ServerStream, Unary } from './call.ts';
import { imageFsInfo } from './image/image-fs-info.ts';
import { imageStatus } from './image/image-status.ts';
import { listImages } from './image/list-images.ts';
import { pullImage } from './image/pull-image.ts';
import { removeImage } from './image/remove-image.ts';
import { streamImages } from './image/stream-images.ts';
import { encodingOnce } from './encoded-list.ts';
import { attach } from './runtime/attach.ts';
import { checkpointContainer } from './runtime/checkpoint-container.ts';
import { containerStatus } from './runtime/container-status.ts';
import { createContainer } from './runtime/create-container.ts';
import { exec } from './runtime/exec.ts';
import { execSync } from './runtime/exec-sync.ts';
import { getContainerEvents } from './runtime/get-container-events.ts';
import { listContainers } from './runtime/list-containers.ts';
import { listPodSandbox } from './runtime/list-pod-sandbox.ts';
import { portForward } from './runtime/port-forward.ts';
import { podSandboxStatus } from './runtime/pod-sandbox-status.ts';
import { removeContainer } from './runtime/remove-container.ts';
import { removePodSandbox } from './runtime/remove-pod-sandbox.ts';
import { reopenContainerLog } from './runtime/reopen-container-log.ts';
import { runPodSandbox } from './runtime/run-pod-sandbox.ts';
import { runtimeConfig } from './runtime/runtime-config.ts';
import { startContainer } from './runtime/start-container.ts';
import { status } from './runtime/status.ts';
import { stopContainer } from './runtime/stop-container.ts';
import { stopPodSandbox } from './runtime/stop-pod-sandbox.ts';
import { streamContainers } from './runtime/stream-containers.ts';
import { streamPodSandboxes } from './runtime/stream-pod-sandboxes.ts';
import { containerStats } from './runtime/container-stats.ts';
import { listContainerStats } from './runtime/list-container-stats.ts';
import { podSandboxStats } from './runtime/pod-sandbox-stats.ts';
import { listPodSandboxStats } from './runtime/list-pod-sandbox-stats.ts';
import { listMetricDescriptors } from './runtime/list-metric-descriptors.ts';
import { listPodSandboxMetrics } from './runtime/list-pod-sandbox-metrics.ts';
import { streamContainerStats } from './runtime/stream-container-stats.ts';
import { streamPodSandboxStats } from './runtime/stream-pod-sandbox-stats.ts';
import { streamPodSandboxMetrics } from './runtime/stream-pod-sandbox-metrics.ts';
import { updateContainerResources } from './runtime/update-container-resources.ts';
import { updatePodSandboxResources } from './runtime/update-pod-sandbox-resources.ts';
import { updateRuntimeConfig } from './runtime/update-runtime-config.ts';
import { version } from './runtime/version.ts';

/** A service with its RPCs; one that is not named here answers UNIMPLEMENTED. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly unary: Readonly<Record<string, Unary<never, object>>>;
  readonly streams: Readonly<Record<string, ServerStream<never, object>>>;
}

/** List methods and the field of their items. */
const LISTS = {
  ListPodSandbox: 'items',
  StreamPodSandboxes: 'podSandboxes',
  ListContainers: 'containers',
  StreamContainers: 'containers',
};

/** Everything that is served on the socket. */
export function services(): Service[] {
  return [
    {
      definition: withLists(definitionOf('runtime/v1/api.proto', 'runtime.v1.RuntimeService')),
      unary: {
        Version: version,
        Status: status,
        RuntimeConfig: runtimeConfig,
        UpdateRuntimeConfig: updateRuntimeConfig,
        RunPodSandbox: runPodSandbox,
        StopPodSandbox: stopPodSandbox,
        RemovePodSandbox: removePodSandbox,
        PodSandboxStatus: podSandboxStatus,
        UpdatePodSandboxResources: updatePodSandboxResources,
        ListPodSandbox: listPodSandbox,
        CreateContainer: createContainer,
        StartContainer: startContainer,
        StopContainer: stopContainer,
        RemoveContainer: removeContainer,
        ListContainers: listContainers,
        ContainerStatus: containerStatus,
        UpdateContainerResources: updateContainerResources,
        CheckpointContainer: checkpointContainer,
        ReopenContainerLog: reopenContainerLog,
        ExecSync: execSync,
        Exec: exec,
        Attach: attach,
        PortForward: portForward,
        ContainerStats: containerStats,
        ListContainerStats: listContainerStats,
        PodSandboxStats: podSandboxStats,
        ListPodSandboxStats: listPodSandboxStats,
        ListMetricDescriptors: listMetricDescriptors,
        ListPodSandboxMetrics: listPodSandboxMetrics,
      },
      streams: {
        StreamPodSandboxes: streamPodSandboxes,
        StreamContainers: streamContainers,
        StreamContainerStats: streamContainerStats,
        StreamPodSandboxStats: streamPodSandboxStats,
        StreamPodSandboxMetrics: streamPodSandboxMetrics,
        GetContainerEvents: getContainerEvents,
      },
    },
    {
      definition: definitionOf('runtime/v1/api.proto', 'runtime.v1.ImageService'),
      unary: {
        PullImage: pullImage,
        ListImages: listImages,
        ImageStatus: imageStatus,
        RemoveImage: removeImage,
        ImageFsInfo: imageFsInfo,
      },
      streams: { StreamImages: streamImages },
    },
    {
      definition: definitionOf('berth/v1/admin.proto', 'berth.v1.Admin'),
      unary: {
        ListDebts: listDebts,
        RetryDebt: retryDebt,
        ForgiveDebt: forgiveDebt,
        ExplainSandbox: explainSandbox,
        CollectGarbage: collectGarbage,
        TestNetworks: testNetworks,
        ShowNetworks: showNetworks,
      },
      streams: {},
    },
  ];
}

function withLists(definition: ServiceDefinition): ServiceDefinition {
  const lists = Object.entries(LISTS).flatMap(([name, field]) => {
    const method = definition[name];
    return method === undefined ? [] : [[name, encodingOnce(method, field)]];
  });
  return { ...definition, ...(Object.fromEntries(lists) as ServiceDefinition) };
}

function definitionOf(file: string, name: string): ServiceDefinition {
  const found = name.split('.').reduce<unknown>((at, part) => (at as GrpcObject)[part], loadService(file));
  return (found as ServiceClientConstructor).service;
}
