import type { Writable } from 'node:stream';

const EVENTS = ['drain', 'error', 'close'] as const;

/** After a write that returned false: resolves when the output has room again, takes nothing any more, or the signal aborts. */
export function room(output: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of EVENTS) output.off(event, done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    for (const event of EVENTS) output.once(event, done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted || output.destroyed || output.errored !== null) done();
  });
}
