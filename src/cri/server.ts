import { chmodSync, existsSync, mkdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { unixAddress } from '../kernel/unix-address.ts';
import { makeDirectorySync } from '../lib/directories.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import type { Metrics } from '../lib/metrics.ts';
import { removeStaleSocket } from '../lib/stale-socket.ts';
import type { Call } from './call.ts';
import type { CriDeps } from './deps.ts';
import type { Handler, Interceptor } from './interceptors/interceptor.ts';
import { logInterceptor, UNKNOWN_RPC } from './interceptors/log.ts';
import { metricsInterceptor } from './interceptors/metrics.ts';
import { type Service, services } from './services.ts';
import { toServiceError } from './status.ts';

/** What kubelet and containerd allow each other; dense nodes come near it. */
const MESSAGE_MAX = 16 * 1024 * 1024;
/** How long calls under way may still take when Berth stops. */
const GRACE_MS = 3_000;

/** A stream without an end of its own, which is whole wherever it is cut; of any other a part would look like all of it. */
const ENDLESS = 'GetContainerEvents';

/**
 * After so long without a call a connection is closed: a client that spoke HTTP/2 wrongly leaves one of which Node neither reads nor
 * tells anything any more, and which it would keep for good. Others connect again by themselves.
 */
const IDLE_MS = 10 * 60 * 1_000;

/** The CRI on a unix socket. */
export class CriServer {
  readonly #deps: CriDeps;
  readonly #interceptors: readonly Interceptor[];
  readonly #server: Server;
  readonly #underWay = new Set<Call>();

  constructor(deps: CriDeps, metrics: Metrics, { idleMs = IDLE_MS }: { readonly idleMs?: number } = {}) {
    this.#deps = deps;
    this.#server = new Server({
      'grpc.max_receive_message_length': MESSAGE_MAX,
      'grpc.max_send_message_length': MESSAGE_MAX,
      'grpc.max_connection_idle_ms': idleMs,
      // gRPC's own books on every call: nobody reads them, and they cost a tenth of a call's time.
      'grpc.enable_channelz': 0,
    });
    this.#interceptors = [logInterceptor(deps.log), metricsInterceptor(metrics)];
    for (const service of services()) this.#server.addService(service.definition, this.#implement(service));
  }

  /** Listens. The socket file appears only now, when calls can be answered. */
  async start(): Promise<void> {
    const { address } = this.#deps.config.grpc;
    const directory = draftDirectoryOf(address);
    const draft = join(directory, 's');
    makeDirectorySync(dirname(address), 0o711);
    await removeStaleSocket(address);
    try {
      // Node would cut a path that is too long.
      unixAddress(draft);
      await removeDraft(directory, draft);
      // grpc-js leaves the socket open to everybody for a moment, in which it is where only we get to.
      mkdirSync(directory, 0o700);
      await new Promise<void>((resolve, reject) => {
        this.#server.bindAsync(`unix:${draft}`, ServerCredentials.createInsecure(), (error) =>
          error === null ? resolve() : reject(error),
        );
      });
      chmodSync(draft, 0o600);
      renameSync(draft, address);
      rmdirSync(directory);
    } catch (error) {
      throw new BerthError('UNAVAILABLE', `failed to listen on "${address}": ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** How many calls of each method are under way. */
  get underWay(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { method } of this.#underWay) counts[method] = (counts[method] ?? 0) + 1;
    return counts;
  }

  /** Refuses new calls, lets those under way end, and cuts what is left after a few seconds. */
  async stop(): Promise<void> {
    // Node would remove the name that it bound.
    rmSync(this.#deps.config.grpc.address, { force: true });
    const timer = setTimeout(() => this.#server.forceShutdown(), GRACE_MS);
    await new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => resolve());
    });
    clearTimeout(timer);
  }

  #implement(service: Service): UntypedServiceImplementation {
    const methods = Object.keys(service.definition).map((method) => {
      const unary = service.unary[method];
      const stream = service.streams[method];
      if (stream !== undefined) return [method, this.#stream(method, stream as never)] as const;
      if (unary !== undefined) return [method, this.#unary(method, unary as never)] as const;
      const refuse = (): never => {
        throw new BerthError('UNIMPLEMENTED', `${method} is not implemented`, { meta: UNKNOWN_RPC });
      };
      const streams = service.definition[method]?.responseStream === true;
      return [method, streams ? this.#stream(method, refuse) : this.#unary(method, refuse)] as const;
    });
    return Object.fromEntries(methods);
  }

  #unary(method: string, handle: (deps: CriDeps, request: unknown, call: Call) => unknown) {
    const handler = this.#intercepted(async (request, call) => handle(this.#deps, request, call));
    return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>): void => {
      const { context, done } = this.#context(method, call);
      handler(call.request, context)
        .then((response) => callback(null, response))
        .catch((error: unknown) => callback(toServiceError(error)))
        .finally(done);
    };
  }

  #stream(method: string, handle: (deps: CriDeps, request: unknown, call: Call) => AsyncIterable<unknown>) {
    return (call: ServerWritableStream<unknown, unknown>): void => {
      const { context, done } = this.#context(method, call);
      const handler = this.#intercepted(async (request) => {
        for await (const message of handle(this.#deps, request, context)) {
          if (context.signal.aborted) {
            if (method === ENDLESS) return;
            throw context.signal.reason;
          }
          if (!call.write(message)) await drained(call, context.signal);
        }
      });
      handler(call.request, context)
        .then(() => call.end())
        .catch((error: unknown) => call.emit('error', toServiceError(error)))
        .finally(done);
    };
  }

  #intercepted(innermost: Handler): Handler {
    return this.#interceptors.reduceRight((next, interceptor) => interceptor(next), innermost);
  }

  /** The call's signal: the client's going, its deadline, or Berth's stopping. `done` takes the listeners away. */
  #context(
    method: string,
    call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  ): { context: Call; done: () => void } {
    const controller = new AbortController();
    const abort = (): void => controller.abort(new BerthError('CANCELLED', `${method} was cancelled`));
    call.on('cancelled', abort);
    this.#deps.stopping.addEventListener('abort', abort, { once: true });
    if (this.#deps.stopping.aborted) abort();
    const deadline = call.getDeadline();
    const remainingMs = Math.max(0, (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now());
    const context = { method, signal: controller.signal, remainingMs };
    this.#underWay.add(context);
    return {
      context,
      done: () => {
        this.#underWay.delete(context);
        // gRPC calls an answered call cancelled, too, once it is closed.
        call.off('cancelled', abort);
        this.#deps.stopping.removeEventListener('abort', abort);
      },
    };
  }
}

/**
 * Where the socket is until it listens: between bind(2) and listen(2) it refuses whom the file has called. The path in it is as long as the
 * address, which may already be as long as a socket's may be; one of a name of less than three letters is longer.
 */
function draftDirectoryOf(address: string): string {
  return join(dirname(address), `${basename(address).slice(0, -3)}~`);
}

/** What a Berth that was killed as it began to listen has left. */
async function removeDraft(directory: string, draft: string): Promise<void> {
  if (!existsSync(directory)) return;
  await removeStaleSocket(draft);
  rmdirSync(directory);
}

/** Resolves when the client has read, or is gone. */
function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
