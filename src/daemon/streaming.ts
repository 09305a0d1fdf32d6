import type { StreamingConfig } from '../config/schema.ts';
import { Loopback } from '../kernel/loopback.ts';
import type { PodDeps } from '../pod/deps.ts';
import { streamingRuntime } from '../pod/streaming.ts';
import { StreamingServer } from '../streaming/server.ts';

/** The server for exec, attach and port-forward, with what it needs. Its clients are cut off as soon as Berth stops. */
export async function startStreaming(
  { address, port }: StreamingConfig,
  pods: PodDeps,
  stopping: AbortSignal,
): Promise<{ streaming: StreamingServer; stop: () => Promise<void> }> {
  const loopback = new Loopback();
  const runtime = streamingRuntime(pods, loopback);
  const streaming = new StreamingServer({ address, port, runtime, log: pods.log });
  await streaming.start();
  // At once, so that what clients have running ends while the rest stops.
  stopping.addEventListener('abort', () => streaming.disconnectAll(), { once: true });
  return {
    streaming,
    async stop() {
      await streaming.stop();
      await loopback.stop();
    },
  };
}
