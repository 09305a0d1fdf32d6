import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { ByteChannel } from './channel.ts';
import type { StreamingRuntime } from './runtime.ts';

/** When the pod's side has ended: how long the client has to end its own. Clients of the protocol do not always. */
const END_MS = 1_000;

/** One connection to a port: its data, and where its error goes. */
export interface PortPair {
  readonly port: number;
  readonly data: ByteChannel;
  readonly error: ByteChannel;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

/** Connects to the port and carries bytes both ways until both have ended. What fails is told on the error channel. Does not throw. */
export async function forwardPort(
  runtime: StreamingRuntime,
  podSandboxId: string,
  pair: PortPair,
  log: Logger,
): Promise<void> {
  const { port, data, error } = pair;
  error.discardInput();
  try {
    const socket = await runtime.connect(podSandboxId, port, pair.signal);
    await carry(socket, data, { signal: pair.signal, endMs: END_MS });
  } catch (thrown) {
    data.discardInput();
    if (!pair.signal.aborted) {
      log.warn('port-forward failed', { sandbox: podSandboxId, port, error: messageOf(thrown) });
      // The words of kubelet's and containerd's server, with the empty uid that it has there.
      const text = `error forwarding port ${port} to pod ${podSandboxId}, uid : ${messageOf(thrown)}`;
      await error.write(Buffer.from(text)).catch(() => undefined);
    }
  }
  data.end();
  error.end();
}

/**
 * Carries bytes both ways, each to its end; `endMs` after the socket's side has ended the other is cut off. Throws what the socket
 * fails with.
 */
export async function carry(
  socket: Socket,
  data: ByteChannel,
  { signal, endMs }: { readonly signal: AbortSignal; readonly endMs?: number },
): Promise<void> {
  let failure: Error | undefined;
  const closed = new Promise<void>((resolve) => {
    socket.on('error', (error) => {
      failure ??= error;
    });
    socket.on('close', () => resolve());
  });
  const cut = (): void => void socket.destroy();
  signal.addEventListener('abort', cut, { once: true });
  if (signal.aborted) cut();
  const toPod = toSocket(data, socket).catch(cut);
  await fromSocket(socket, data).catch(cut);
  const timer = endMs === undefined ? undefined : setTimeout(cut, endMs);
  await Promise.race([toPod, closed]);
  clearTimeout(timer);
  cut();
  data.discardInput();
  signal.removeEventListener('abort', cut);
  if (failure !== undefined) throw failure;
}

/** The client's half-close becomes the socket's. */
async function toSocket(data: ByteChannel, socket: Socket): Promise<void> {
  for await (const chunk of data.input) {
    if (socket.destroyed) return;
    if (!socket.write(chunk)) await roomIn(socket);
  }
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.end(() => resolve());
  });
}

function roomIn(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Until the pod's side ends. */
async function fromSocket(socket: Socket, data: ByteChannel): Promise<void> {
  // A socket tells its end, and closes, even while it is paused and the last chunk is not written.
  let written = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    const over = (): void => void written.then(resolve, reject);
    socket.on('end', over);
    socket.on('close', over);
    if (socket.closed) over();
    socket.on('data', (chunk) => {
      socket.pause();
      written = data.write(chunk);
      written.then(() => socket.resume(), reject);
    });
  });
  data.end();
}
