import { readFile } from 'node:fs/promises';
import type { ContainerStatus } from '../../gen/runtime/v1/ContainerStatus.ts';
import type { ImageSpec } from '../../gen/runtime/v1/ImageSpec.ts';
import type { Mount } from '../../gen/runtime/v1/Mount.ts';
import type { ContainerStatusRequest__Output } from '../../gen/runtime/v1/ContainerStatusRequest.ts';
import type { ContainerStatusResponse } from '../../gen/runtime/v1/ContainerStatusResponse.ts';
import { type Container, criContainerState } from '../../pod/container/container.ts';
import { type ContainerRecord, shownAnnotations } from '../../pod/container/record.ts';
import { effectiveStopSignal } from '../../pod/container/stop-signal.ts';
import type { Unary } from '../call.ts';
import type { CriDeps } from '../deps.ts';
import { protoNames } from '../proto-names.ts';
import { requireId } from './require-id.ts';

/** CRI ContainerStatus: answered from memory; verbose reads the runtime spec from its record. */
export const containerStatus: Unary<ContainerStatusRequest__Output, ContainerStatusResponse> = async (
  deps,
  request,
) => {
  const container = deps.pods.containers.store.get(requireId('container_id', request.containerId));
  return {
    status: containerStatusOf(container),
    info: request.verbose ? { info: JSON.stringify(await info(deps, container)) } : {},
  };
};

export function containerStatusOf({ record, state }: Container): ContainerStatus {
  const { id, config, createdAt, imageId, imageRef, logPath } = record;
  return {
    id,
    metadata: config.metadata,
    state: criContainerState(state),
    createdAt,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    exitCode: state.exitCode,
    reason: state.reason,
    message: state.message,
    image: statusImage(record),
    imageRef,
    imageId,
    labels: config.labels,
    annotations: shownAnnotations(record),
    mounts: statusMounts(record),
    logPath,
    resources: state.resources === null ? null : { linux: state.resources },
    user: state.user,
    stopSignal: effectiveStopSignal(config.stopSignal, record.stopSignal),
  };
}

/** By its tag: kubelet asks for it by id, and shows people what the status says. What is restored has the image that it was made from. */
function statusImage({ config, restored, imageTag = '', imageRef }: ContainerRecord): ImageSpec | null {
  if (restored !== undefined) return { ...config.image, image: imageTag || imageRef, userSpecifiedImage: '' };
  return imageTag === '' ? config.image : { ...config.image, image: imageTag };
}

/** As asked for; of an image volume also which image it has become (KEP-5365). */
function statusMounts({ config, volumeImageRefs = [] }: ContainerRecord): Mount[] {
  const refs = [...volumeImageRefs];
  return config.mounts.map((mount) =>
    mount.image === null ? mount : { ...mount, image: { ...mount.image, imageRef: refs.shift() ?? '' } },
  );
}

/** Keys are containerd's: people and tools read those. */
async function info(deps: CriDeps, { record, state }: Container): Promise<Record<string, unknown>> {
  const spec = await readFile(deps.pods.containers.files.specPath(record.id), 'utf8').catch(() => 'null');
  return {
    sandboxID: record.sandboxId,
    pid: state.pid,
    snapshotKey: record.id,
    snapshotter: state.snapshotter,
    runtimeHandler: record.runtimeHandler,
    config: protoNames(record.config),
    runtimeSpec: JSON.parse(spec) as unknown,
  };
}
