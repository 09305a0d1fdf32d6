import { Buffer } from 'node:buffer';
import { Socket, connect as connectHere } from 'node:net';
import { endianness } from 'node:os';
import { sleep } from '../lib/deadline.ts';
import { BerthError } from '../lib/errors.ts';
import { errnoReason, SyscallError } from './errno.ts';
import { AF_INET, AF_INET6, close, connect } from './libc.ts';
import type { LoopbackSocketJob } from './loopback-jobs.ts';
import { ThreadPool } from './threads/pool.ts';

export const loopbackJobsModule = new URL('./loopback-jobs.js', import.meta.url);

export type LoopbackFamily = 4 | 6;

const ADDRESSES: Readonly<Record<LoopbackFamily, string>> = { 4: '127.0.0.1', 6: '::1' };
/** On loopback a connection is there, or refused, at once; only a listener whose queue is full lets one wait. */
const POLL_MOST_MS = 50;

/** Connections to the loopback addresses of network namespaces. */
export class Loopback {
  /** Its own: the threads of networks may be waiting for a plugin. Starts with the first connection. */
  readonly #pool = new ThreadPool({ name: 'loopback', size: 1, modules: [loopbackJobsModule] });

  /**
   * Connects to a port in the namespace pinned at a path; without one in our own. Throws UNAVAILABLE in the words of Go's net
   * package, which clients know, and what the signal aborts with.
   */
  async connect(
    netns: string | undefined,
    family: LoopbackFamily,
    port: number,
    signal: AbortSignal,
  ): Promise<Socket> {
    signal.throwIfAborted();
    try {
      return netns === undefined
        ? await connectInOwn(family, port, signal)
        : await this.#connectIn(netns, family, port, signal);
    } catch (error) {
      signal.throwIfAborted();
      const host = family === 4 ? ADDRESSES[4] : `[${ADDRESSES[6]}]`;
      throw new BerthError('UNAVAILABLE', `dial tcp${family} ${host}:${port}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  stop(): Promise<void> {
    return this.#pool.stop();
  }

  async #connectIn(
    netns: string,
    family: LoopbackFamily,
    port: number,
    signal: AbortSignal,
  ): Promise<Socket> {
    const job: LoopbackSocketJob = { netns, family };
    // Without the signal: the descriptor of a job that nobody waits for would be lost.
    const fd = (await this.#pool.call('loopback.socket', job)) as number;
    try {
      const address = addressOf(family, port);
      // The first answer is only that it was begun: asked again at once.
      for (let ms = 0; !isConnected(fd, address); ms = Math.min(2 * ms + 1, POLL_MOST_MS)) {
        if (ms > 0) await sleep(ms, signal);
        signal.throwIfAborted();
      }
    } catch (error) {
      close(fd);
      throw error;
    }
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  }
}

function isConnected(fd: number, address: Uint8Array): boolean {
  try {
    connect(fd, address);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EISCONN') return true;
    if (error instanceof SyscallError && ['EINPROGRESS', 'EALREADY'].includes(error.code)) return false;
    throw error;
  }
}

/** The host's own namespace needs no descriptor from elsewhere. */
function connectInOwn(family: LoopbackFamily, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectHere({ host: ADDRESSES[family], port, family, allowHalfOpen: true });
    const settle = (action: () => void) => (): void => {
      signal.removeEventListener('abort', abort);
      socket.removeAllListeners('error').removeAllListeners('connect');
      action();
    };
    const abort = settle(() => {
      socket.on('error', () => undefined).destroy();
      reject(signal.reason as Error);
    });
    signal.addEventListener('abort', abort, { once: true });
    socket.once(
      'connect',
      settle(() => resolve(socket)),
    );
    socket.once('error', (error) => settle(() => reject(error))());
  });
}

/** A sockaddr_in or sockaddr_in6. */
function addressOf(family: LoopbackFamily, port: number): Uint8Array {
  const address = Buffer.alloc(family === 4 ? 16 : 28);
  const domain = family === 4 ? AF_INET : AF_INET6;
  if (endianness() === 'LE') address.writeUInt16LE(domain, 0);
  else address.writeUInt16BE(domain, 0);
  address.writeUInt16BE(port, 2);
  if (family === 4) address.set([127, 0, 0, 1], 4);
  else address[23] = 1;
  return address;
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return `connect: ${code.startsWith('E') ? errnoReason(code) : String(error)}`;
}
