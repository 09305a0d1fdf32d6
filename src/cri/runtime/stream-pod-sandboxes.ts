import type { StreamPodSandboxesRequest__Output } from '../../gen/runtime/v1/StreamPodSandboxesRequest.ts';
import type { StreamPodSandboxesResponse } from '../../gen/runtime/v1/StreamPodSandboxesResponse.ts';
import { inBatches } from '../batches.ts';
import type { ServerStream } from '../call.ts';
import { filtered, listItem } from './list-pod-sandbox.ts';

/** CRI StreamPodSandboxes (KEP-5825): as ListPodSandbox, each sandbox once, in batches that are never empty. */
export const streamPodSandboxes: ServerStream<StreamPodSandboxesRequest__Output, StreamPodSandboxesResponse> =
  async function* (deps, request) {
    const items = filtered(deps.pods.store, request.filter).map(listItem);
    for (const podSandboxes of inBatches(items)) yield { podSandboxes };
  };
