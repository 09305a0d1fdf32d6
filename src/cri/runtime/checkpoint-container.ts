import type { CheckpointContainerRequest__Output } from '../../gen/runtime/v1/CheckpointContainerRequest.ts';
import type { CheckpointContainerResponse } from '../../gen/runtime/v1/CheckpointContainerResponse.ts';
import { invalid } from '../../lib/errors.ts';
import { exactInteger } from '../../lib/exact-json.ts';
import { checkpointContainer as checkpoint } from '../../pod/container/checkpoint.ts';
import type { Container } from '../../pod/container/container.ts';
import type { Unary } from '../call.ts';
import { protoNames } from '../proto-names.ts';
import { containerStatusOf } from './container-status.ts';
import { requireId } from './require-id.ts';

/** CRI CheckpointContainer: writes a checkpoint to `location`; the container goes on. The timeout is in seconds, 0 for none. */
export const checkpointContainer: Unary<
  CheckpointContainerRequest__Output,
  CheckpointContainerResponse
> = async (deps, request, call) => {
  const container = deps.pods.containers.store.get(requireId('container_id', request.containerId));
  const { location, timeout } = request;
  const timeoutSeconds = Number(timeout);
  if (timeoutSeconds < 0) throw invalid('timeout', 'must not be negative');
  const asked = { location, timeoutSeconds, status: statusDump(container) };
  await checkpoint(deps.pods, container, asked, call.signal);
  return {};
};

/** ContainerStatus as Go writes it: enumerations as their numbers. */
const STATE_RUNNING = 1;

function statusDump(container: Container): object {
  const { id, metadata, createdAt, startedAt, image, imageRef, imageId, labels, annotations, logPath } =
    containerStatusOf(container);
  return {
    id,
    metadata,
    state: STATE_RUNNING,
    created_at: exactInteger(BigInt(String(createdAt))),
    started_at: exactInteger(BigInt(String(startedAt))),
    image: protoNames(image),
    image_ref: imageRef,
    labels,
    annotations,
    log_path: logPath,
    image_id: imageId,
  };
}
