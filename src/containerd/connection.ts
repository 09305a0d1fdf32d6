/**
 * The connection to one containerd.
 *
 *            a Version call is answered
 *   away ───────────────────────────────▶ connected
 *    ▲  (tried again with back-off)          │ asked again every few seconds, and at once
 *    └───────────────────────────────────────┘ when the socket closes: no answer
 */
import { once } from 'node:events';
import { Client, connectivityState, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { BerthError, messageOf } from '../lib/errors.ts';
import { sleep } from '../lib/deadline.ts';
import type { Logger } from '../lib/log.ts';
import { type ContainerdApi, loadContainerd } from './api.ts';
import { type FailedCall, fromGrpc } from './grpc-error.ts';

/** The namespace that kubelet's containers and images are in; containerd's CRI uses no other. */
export const KUBERNETES_NAMESPACE = 'k8s.io';

const MESSAGE_MAX = 16 * 1024 * 1024;
/** For a call that brings no time limit of its own. */
export const CALL_MS = 120_000;
const PROBE_MS = 5_000;
const PROBE_EVERY_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const MOST_PAUSE_MS = 2_000;

const channelOptions = {
  'grpc.max_receive_message_length': MESSAGE_MAX,
  'grpc.max_send_message_length': MESSAGE_MAX,
  // Node's HTTP/2 insists on an authority that is a host name.
  'grpc.default_authority': 'localhost',
  'grpc.use_local_subchannel_pool': 1,
  // gRPC's own books on every call, which nobody reads.
  'grpc.enable_channelz': 0,
  'grpc.initial_reconnect_backoff_ms': FIRST_PAUSE_MS,
  'grpc.max_reconnect_backoff_ms': MOST_PAUSE_MS,
};

export type ConnectionState =
  | { readonly connected: true /** containerd's version, without a leading v. */; readonly version: string }
  | { readonly connected: false; readonly reason: string };

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; Infinity for no limit. Two minutes when absent. */
  readonly timeoutMs?: number | undefined;
  /** What the call makes belongs to this lease. */
  readonly lease?: string | undefined;
  /** Another namespace than the connection's own. */
  readonly namespace?: string | undefined;
}

/** A method of a loaded service, as far as a caller needs it. */
export interface Method<Request, Response> {
  readonly path: string;
  requestSerialize(request: Request): Buffer;
  responseDeserialize(bytes: Buffer): Response;
}

export interface ConnectionSettings {
  /** Path of the socket. */
  readonly address: string;
  readonly namespace?: string;
  readonly log: Logger;
  /** For some call alone: its coming and going is no news. */
  readonly passing?: boolean;
}

export class Connection {
  readonly address: string;
  readonly api: ContainerdApi;
  readonly #settings: ConnectionSettings;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #client: Client;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  #state: ConnectionState = { connected: false, reason: 'not connected yet' };
  #watched = false;
  #probeNow = new AbortController();

  constructor(settings: ConnectionSettings) {
    const { address, namespace = KUBERNETES_NAMESPACE, log } = settings;
    this.#settings = settings;
    this.address = address;
    this.api = loadContainerd();
    this.#namespace = namespace;
    this.#log = log.child({ containerd: address });
    this.#client = new Client(`unix:${address}`, credentials.createInsecure(), channelOptions);
  }

  /** Connected, or why not. Kept up to date once the connection is started. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Keeps the connection up, and its state true, until close(). */
  start(): void {
    void this.#keep();
  }

  /**
   * Does something on a connection of its own. An error of more than 64 KiB, which Node's HTTP/2 takes for an attack without telling us, is
   * the end of a connection and of every call on it, some seconds later, when a probe is not answered.
   */
  async apart<T>(work: (own: Connection) => Promise<T>): Promise<T> {
    const own = new Connection({ ...this.#settings, passing: true });
    own.start();
    try {
      return await work(own);
    } finally {
      own.close();
    }
  }

  /** Ends the connection; calls under way fail. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new BerthError('UNAVAILABLE', `the connection to "${this.address}" is closed`));
    this.#become(this.#state);
    this.#probeNow.abort();
    this.#client.close();
  }

  /** Tells the listener each change of the state; the returned function ends that. */
  onChange(listener: (state: ConnectionState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once connected. Throws the signal's reason, with why there is no connection. */
  async ready({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!this.#state.connected) {
      if (signal.aborted || this.#closing.signal.aborted) {
        const doing = `failed to connect to containerd at "${this.address}"`;
        throw new BerthError('UNAVAILABLE', `${doing}: ${this.#state.reason}`, { cause: signal.reason });
      }
      await this.#change(signal);
    }
  }

  /** One request, one answer. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const { signal } = options;
    const deadline = deadlineOf(options);
    return new Promise((resolve, reject) => {
      this.#refuse(signal);
      const call = this.#client.makeUnaryRequest(
        method.path,
        (value: Request) => method.requestSerialize(value),
        (bytes) => method.responseDeserialize(bytes),
        request,
        this.#metadata(options),
        { deadline },
        (error: ServiceError | null, response?: Response) => {
          signal?.removeEventListener('abort', cancel);
          if (response !== undefined) resolve(response);
          else reject(this.#failed(error, { signal, deadline }));
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** One request, many answers; leaving the loop ends the call. Has no time limit unless it is given one. */
  async *stream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): AsyncGenerator<Response, void, undefined> {
    const { signal } = options;
    const deadline = deadlineOf({ timeoutMs: Infinity, ...options });
    this.#refuse(signal);
    const call = this.#client.makeServerStreamRequest(
      method.path,
      (value: Request) => method.requestSerialize(value),
      (bytes) => method.responseDeserialize(bytes),
      request,
      this.#metadata(options),
      { deadline },
    );
    // Its error may come after the loop was left.
    call.on('error', () => undefined);
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call) yield message as Response;
    } catch (error) {
      throw this.#failed(error, { signal, deadline });
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  /** Many requests, sent as fast as they are taken, and the last of the answers. */
  async exchange<Request, Response>(
    method: Method<Request, Response>,
    requests: Iterable<Request> | AsyncIterable<Request>,
    options: CallOptions = {},
  ): Promise<Response> {
    const { signal } = options;
    const deadline = deadlineOf(options);
    this.#refuse(signal);
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      (value: Request) => method.requestSerialize(value),
      (bytes) => method.responseDeserialize(bytes),
      this.#metadata(options),
      { deadline },
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    const last = new Promise<Response>((resolve, reject) => {
      let latest: Response | undefined;
      call.on('data', (response: Response) => {
        latest = response;
      });
      call.on('error', (error) => reject(this.#failed(error, { signal, deadline })));
      call.on('end', () => {
        if (latest === undefined) reject(new BerthError('INTERNAL', `${method.path} gave no answer`));
        else resolve(latest);
      });
    });
    let isOver = false;
    const send = async (): Promise<void> => {
      for await (const request of requests) {
        if (isOver) return;
        if (!call.write(request)) await once(call, 'drain');
      }
      call.end();
    };
    try {
      const [answer] = await Promise.all([last, send()]);
      return answer;
    } catch (error) {
      call.cancel();
      throw error;
    } finally {
      isOver = true;
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Throws when a call need not begin. */
  #refuse(signal: AbortSignal | undefined): void {
    for (const ended of [this.#closing.signal, signal]) {
      if (ended?.aborted === true) throw fromGrpc(undefined, { address: this.address, signal: ended });
    }
  }

  #metadata(options: CallOptions): Metadata {
    const metadata = new Metadata();
    metadata.set('containerd-namespace', options.namespace ?? this.#namespace);
    if (options.lease !== undefined) metadata.set('containerd-lease', options.lease);
    return metadata;
  }

  /** A call without an answer is news about the connection. */
  #failed(error: unknown, call: Omit<FailedCall, 'address'>): BerthError {
    const signal = this.#closing.signal.aborted ? this.#closing.signal : call.signal;
    const failure = fromGrpc(error, { ...call, address: this.address, signal });
    if (failure.code === 'UNAVAILABLE') this.#probeNow.abort();
    return failure;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      this.#probeNow = new AbortController();
      const state = await this.#probe(signal);
      this.#become(state);
      if (state.connected) {
        pause = FIRST_PAUSE_MS;
        this.#watchSocket();
        await sleep(PROBE_EVERY_MS, this.#probeNow.signal);
      } else {
        await sleep(pause, signal);
        pause = Math.min(pause * 2, MOST_PAUSE_MS);
      }
    }
  }

  async #probe(signal: AbortSignal): Promise<ConnectionState> {
    const { Version } = this.api.services.version.v1.Version.service;
    try {
      const { version } = await this.unary(Version, {}, { signal, timeoutMs: PROBE_MS });
      return { connected: true, version: version.replace(/^v/, '') };
    } catch (error) {
      return { connected: false, reason: messageOf(error) };
    }
  }

  /** Probes at once when the socket closes. */
  #watchSocket(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.#client.getChannel().watchConnectivityState(connectivityState.READY, Infinity, () => {
      this.#watched = false;
      this.#probeNow.abort();
    });
  }

  #become(probed: ConnectionState): void {
    const closed = this.#closing.signal.aborted;
    const state: ConnectionState = closed ? { connected: false, reason: 'the connection is closed' } : probed;
    const before = this.#state;
    this.#state = state;
    if (sameState(before, state)) return;
    if (this.#settings.passing !== true) this.#tell(before, state);
    for (const listener of this.#listeners) listener(state);
  }

  #tell(before: ConnectionState, state: ConnectionState): void {
    if (state.connected) this.#log.info('connected to containerd', { version: state.version });
    else if (before.connected && !this.#closing.signal.aborted)
      this.#log.warn('lost containerd', { reason: state.reason });
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        off();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const off = this.onChange(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

function deadlineOf({ timeoutMs = CALL_MS }: CallOptions): number {
  return timeoutMs === Infinity ? Infinity : Date.now() + timeoutMs;
}

function sameState(a: ConnectionState, b: ConnectionState): boolean {
  if (a.connected) return b.connected && a.version === b.version;
  return !b.connected && a.reason === b.reason;
}
