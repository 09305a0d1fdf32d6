import { connect, type Socket } from 'node:net';
import { BerthError } from '../lib/errors.ts';
import { type ContainerdApi, loadContainerd } from './api.ts';
import { KUBERNETES_NAMESPACE, type Method } from './connection.ts';
import { fromStatus } from './grpc-error.ts';

/** Length of the data, number of the call, kind of the message, flags. */
const HEADER_BYTES = 10;
const KIND_AT = 8;
const REQUEST = 1;
const RESPONSE = 2;
/** Of gRPC's codes. */
const OK = 0;
/** A connection on which nothing is under way for so long closes itself. */
const IDLE_MS = 60_000;
/** As containerd's own calls have it. */
const METADATA = [{ key: 'containerd-namespace-ttrpc', value: KUBERNETES_NAMESPACE }];
/** The protocol's own limit. */
const DATA_MAX = 4 * 1024 * 1024;

interface Call {
  answer(payload: Buffer): void;
  fail(error: unknown): void;
}

export interface TtrpcOptions {
  /** Told of the end of the connection, also when it could not be made. */
  readonly onClose?: () => void;
  readonly idleMs?: number;
}

/**
 * A client of ttrpc, which containerd's shims speak: gRPC's messages in frames of their own, over a unix socket. Only calls with one answer.
 * (PROTOCOL.md of github.com/containerd/ttrpc.)
 */
export class TtrpcClient {
  readonly #socket: Socket;
  readonly #idleMs: number;
  readonly #messages: ContainerdApi['ttrpc'] = loadContainerd().ttrpc;
  readonly #calls = new Map<number, Call>();
  #lastCall = -1;
  #received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, idleMs: number) {
    this.#socket = socket;
    this.#idleMs = idleMs;
    socket.on('data', (chunk) => this.#receive(chunk));
    // The close that follows tells the calls.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#failAll('the connection to the shim has ended'));
    socket.on('timeout', () => socket.destroy());
    this.#rest();
  }

  /** Rejects with the socket's own error. */
  static connect(path: string, { onClose, idleMs = IDLE_MS }: TtrpcOptions = {}): Promise<TtrpcClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      if (onClose !== undefined) socket.once('close', onClose);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new TtrpcClient(socket, idleMs));
      });
    });
  }

  /** Rejects with what the other side refused it with, or UNAVAILABLE when the connection ends before. */
  call<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    const [, service = '', name = ''] = method.path.split('/');
    const payload = method.requestSerialize(request);
    // A client's are odd.
    this.#lastCall += 2;
    const id = this.#lastCall;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) throw unavailable('the connection to the shim has ended');
      this.#socket.ref().setTimeout(0);
      this.#calls.set(id, {
        answer: (bytes) => resolve(method.responseDeserialize(bytes)),
        fail: reject,
      });
      const data = this.#messages.Request.serialize({ service, method: name, payload, metadata: METADATA });
      this.#socket.write(frame(id, data));
    });
  }

  /** By either side. */
  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Nothing is under way: the connection no longer keeps the process alive. */
  #rest(): void {
    this.#socket.unref().setTimeout(this.#idleMs);
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= HEADER_BYTES) {
      const length = this.#received.readUInt32BE(0);
      if (length > DATA_MAX) {
        this.#socket.destroy();
        return;
      }
      const end = HEADER_BYTES + length;
      if (this.#received.length < end) return;
      const id = this.#received.readUInt32BE(4);
      const isAnswer = this.#received[KIND_AT] === RESPONSE;
      const data = this.#received.subarray(HEADER_BYTES, end);
      this.#received = this.#received.subarray(end);
      if (isAnswer) this.#settle(id, data);
    }
  }

  #settle(id: number, data: Buffer): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (call === undefined) return;
    if (this.#calls.size === 0) this.#rest();
    try {
      const { status: refusal, payload } = this.#messages.Response.deserialize(data);
      if (refusal !== null && refusal.code !== OK) throw fromStatus(refusal.code, refusal.message);
      call.answer(payload);
    } catch (error) {
      call.fail(error);
    }
  }

  #failAll(problem: string): void {
    for (const call of this.#calls.values()) call.fail(unavailable(problem));
    this.#calls.clear();
  }
}

function frame(id: number, data: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(data.length, 0);
  header.writeUInt32BE(id, 4);
  header[KIND_AT] = REQUEST;
  return Buffer.concat([header, data]);
}

function unavailable(problem: string): BerthError {
  return new BerthError('UNAVAILABLE', problem);
}
