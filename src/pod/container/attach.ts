import { wrap } from '../../lib/errors.ts';
import type { CommandStreams } from '../../streaming/runtime.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { follow } from './exec.ts';
import { requireRunning } from './require-running.ts';

/**
 * Connects a client to a running container's own streams (CRI Attach) until its output is over, the client is gone, or its stdin has
 * ended where that does not end the container's.
 */
export async function attach(
  deps: PodDeps,
  container: Container,
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<void> {
  const { engine, pumps } = deps.containers;
  requireRunning(container);
  const { stdin, stdout, stderr, sizes } = streams;
  const { config } = container.record;
  // Nobody would read it, and the client would wait.
  if (!config.stdin) void stdin?.[Symbol.asyncIterator]().return?.();
  try {
    const attachment = await pumps.attach(
      container.id,
      {
        ...(stdin === undefined ? {} : { stdin }),
        ...(stdout === undefined ? {} : { stdout }),
        ...(stderr === undefined || config.tty ? {} : { stderr }),
      },
      { signal, closeStdin: () => engine.closeStdin(container.id) },
    );
    if (config.tty) follow(sizes, (size) => engine.resize(container.id, size));
    await attachment.ended;
  } catch (error) {
    throw wrap('failed to attach to container', error);
  }
}
