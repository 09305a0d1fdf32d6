import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createLogger } from '../../../src/lib/log.ts';
import type { CommandStreams, StreamingRuntime } from '../../../src/streaming/runtime.ts';
import { StreamingServer } from '../../../src/streaming/server.ts';
import type { StreamingLimits } from '../../../src/streaming/limits.ts';

const log = createLogger({ level: 'fatal', format: 'text' });

/** Streaming servers on a runtime of the test's, and ports of pods; all of them end together. */
export class Serving {
  readonly #started: (() => Promise<unknown>)[] = [];

  /** A server whose commands echo, if the runtime has no others. */
  async serve(
    runtime: Partial<StreamingRuntime>,
    limits: Partial<StreamingLimits> = {},
  ): Promise<StreamingServer> {
    const server = new StreamingServer({
      address: '127.0.0.1',
      port: 0,
      log,
      runtime: {
        exec: echo,
        attach: () => Promise.reject(new Error('no attach')),
        connect: () => Promise.reject(new Error('nobody listens')),
        ...runtime,
      },
      limits,
    });
    await server.start();
    this.#started.push(() => server.stop());
    return server;
  }

  /** A pod's port that echoes. */
  async echoPort(): Promise<StreamingRuntime['connect']> {
    const listener = createServer({ allowHalfOpen: true }, (socket) =>
      socket.on('error', () => undefined).pipe(socket),
    );
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    this.#started.push(async () => listener.close());
    const { port } = listener.address() as { port: number };
    return async () => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    };
  }

  async end(): Promise<void> {
    for (const stop of this.#started.splice(0).reverse()) await stop();
  }
}

/** Echoes stdin to stdout, tells on stderr that it did, and ends with 3. */
async function echo(_request: unknown, { stdin, stdout, stderr }: CommandStreams): Promise<number> {
  for await (const chunk of stdin ?? []) await stdout?.(chunk);
  await stderr?.(Buffer.from('done'));
  return 3;
}
