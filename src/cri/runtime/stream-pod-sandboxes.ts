import type { StreamPodSandboxesRequest__Output } from '../../gen/runtime/v1/StreamPodSandboxesRequest.ts';
import type { StreamPodSandboxesResponse } from '../../gen/runtime/v1/StreamPodSandboxesResponse.ts';
import type { ServerStream } from '../call.ts';
import { filtered, listItem } from './list-pod-sandbox.ts';

/** Sandboxes in one message: at a few KiB each far below the 16 MiB that a message may have. */
const BATCH = 500;

/** CRI StreamPodSandboxes (KEP-5825): as ListPodSandbox, each sandbox once, in batches that are never empty. */
export const streamPodSandboxes: ServerStream<StreamPodSandboxesRequest__Output, StreamPodSandboxesResponse> =
  async function* (deps, request) {
    const sandboxes = filtered(deps.pods.store, request.filter);
    for (let i = 0; i < sandboxes.length; i += BATCH) {
      yield { podSandboxes: sandboxes.slice(i, i + BATCH).map(listItem) };
    }
  };
