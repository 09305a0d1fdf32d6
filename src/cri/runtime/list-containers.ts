import type { Container as Item } from '../../gen/runtime/v1/Container.ts';
import type { ContainerFilter__Output } from '../../gen/runtime/v1/ContainerFilter.ts';
import type { ListContainersRequest__Output } from '../../gen/runtime/v1/ListContainersRequest.ts';
import type { ListContainersResponse } from '../../gen/runtime/v1/ListContainersResponse.ts';
import { memoOfState } from '../../lib/memo.ts';
import { type Container, criContainerState } from '../../pod/container/container.ts';
import { shownAnnotations } from '../../pod/container/record.ts';
import type { ContainerStore } from '../../pod/container/store.ts';
import type { Unary } from '../call.ts';

/** CRI ListContainers: answered from memory. */
export const listContainers: Unary<ListContainersRequest__Output, ListContainersResponse> = (
  deps,
  request,
) => ({
  containers: filteredContainers(deps.pods.containers.store, request.filter).map(containerItem),
});

/** The containers that a filter lets through: ids or their beginnings, state, labels; all of them must match. */
export function filteredContainers(
  store: ContainerStore,
  filter: ContainerFilter__Output | null,
): Container[] {
  if (filter === null) return store.all();
  const { id, podSandboxId, state, labelSelector } = filter;
  const labels = Object.entries(labelSelector);
  return store.all().filter((container) => {
    if (!container.id.startsWith(id) || !container.record.sandboxId.startsWith(podSandboxId)) return false;
    if (state !== null && criContainerState(container.state) !== state.state) return false;
    return labels.every(([key, value]) => container.record.config.labels[key] === value);
  });
}

/** The same object for as long as the container's state is the same: see encodingOnce. */
export const containerItem = memoOfState(({ state, record }: Container): Item => {
  const { id, sandboxId, config, imageId, createdAt } = record;
  return {
    id,
    podSandboxId: sandboxId,
    metadata: config.metadata,
    image: config.image,
    imageRef: imageId,
    imageId,
    state: criContainerState(state),
    createdAt,
    labels: config.labels,
    annotations: shownAnnotations(record),
  };
});
