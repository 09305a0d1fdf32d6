import type { Socket } from 'node:net';
import type { Loopback } from '../../kernel/loopback.ts';
import { BerthError, messageOf, wrap } from '../../lib/errors.ts';
import type { Sandbox } from './sandbox.ts';

/** Throws FAILED_PRECONDITION in containerd's words. */
export function requireReady(sandbox: Sandbox): void {
  if (sandbox.state.phase !== 'ready')
    throw new BerthError('FAILED_PRECONDITION', 'sandbox container is not running');
}

/** Connects to a port on a pod's own loopback, over IPv4 and, when nobody listens there, over IPv6. */
export async function connectToPort(
  loopback: Loopback,
  sandbox: Sandbox,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  requireReady(sandbox);
  const netns = sandbox.record.namespaces.network;
  try {
    return await loopback.connect(netns, 4, port, signal);
  } catch (overIpv4) {
    signal.throwIfAborted();
    try {
      return await loopback.connect(netns, 6, port, signal);
    } catch (overIpv6) {
      const reasons = `IPv4: ${messageOf(overIpv4)} IPv6 ${messageOf(overIpv6)}`;
      throw wrap(
        `failed to execute portforward in network namespace "${netns ?? 'host'}"`,
        new BerthError(
          'UNAVAILABLE',
          `failed to connect to localhost:${port} inside namespace "${sandbox.id}", ${reasons}`,
          { cause: overIpv6 },
        ),
      );
    }
  }
}
