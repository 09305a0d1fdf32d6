import type { StreamContainersRequest__Output } from '../../gen/runtime/v1/StreamContainersRequest.ts';
import type { StreamContainersResponse } from '../../gen/runtime/v1/StreamContainersResponse.ts';
import { inBatches } from '../batches.ts';
import type { ServerStream } from '../call.ts';
import { containerItem, filteredContainers } from './list-containers.ts';

/** CRI StreamContainers (KEP-5825): as ListContainers, each container once, in batches that are never empty. */
export const streamContainers: ServerStream<StreamContainersRequest__Output, StreamContainersResponse> =
  async function* (deps, request) {
    const items = filteredContainers(deps.pods.containers.store, request.filter).map(containerItem);
    for (const containers of inBatches(items)) yield { containers };
  };
