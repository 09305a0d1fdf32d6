import type { Loopback } from '../kernel/loopback.ts';
import type { StreamingRuntime } from '../streaming/runtime.ts';
import { attach } from './container/attach.ts';
import { exec } from './container/exec.ts';
import type { PodDeps } from './deps.ts';
import { connectToPort } from './sandbox/port-forward.ts';

/** Containers and pods as the streaming server wants them: they are looked up when the client comes, and may be gone by then. */
export function streamingRuntime(deps: PodDeps, loopback: Loopback): StreamingRuntime {
  const { store } = deps.containers;
  return {
    exec: async (request, streams, signal) =>
      exec(deps, store.get(request.containerId), request, streams, signal),
    attach: async (request, streams, signal) => attach(deps, store.get(request.containerId), streams, signal),
    connect: async (id, port, signal) => connectToPort(loopback, deps.store.get(id), port, signal),
  };
}
