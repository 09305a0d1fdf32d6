import type { StreamContainersRequest__Output } from '../../gen/runtime/v1/StreamContainersRequest.ts';
import type { StreamContainersResponse } from '../../gen/runtime/v1/StreamContainersResponse.ts';
import type { ServerStream } from '../call.ts';
import { containerItem, filteredContainers } from './list-containers.ts';

/** Containers in one message: at a few KiB each far below the 16 MiB that a message may have. */
const BATCH = 500;

/** CRI StreamContainers (KEP-5825): as ListContainers, each container once, in batches that are never empty. */
export const streamContainers: ServerStream<StreamContainersRequest__Output, StreamContainersResponse> =
  async function* (deps, request) {
    const containers = filteredContainers(deps.pods.containers.store, request.filter);
    for (let i = 0; i < containers.length; i += BATCH) {
      yield { containers: containers.slice(i, i + BATCH).map(containerItem) };
    }
  };
