/**
 * A stand-in for the daemon: the CRI and Berth's Admin service on a unix socket, with the answers that a test gives it.
 * It records the requests. What has no answer is UNIMPLEMENTED, as grpc-js does it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  status,
} from '@grpc/grpc-js';
import { loadCri, loadService } from '../../src/lib/proto.ts';

type Answer = (request: Readonly<Record<string, unknown>>) => unknown;
export type Answers = Readonly<Record<string, Answer>>;

export interface Recorded {
  readonly method: string;
  readonly request: Readonly<Record<string, unknown>>;
}

/** Thrown by an answer: the RPC fails with this code and these details. */
export class Refusal extends Error {
  readonly code: status;

  constructor(code: keyof typeof status, details: string) {
    super(details);
    this.code = status[code];
  }
}

export class CriPeer implements AsyncDisposable {
  readonly address: string;
  readonly requests: Recorded[] = [];
  readonly #directory: string;
  readonly #server = new Server();
  readonly #answers: Answers;

  private constructor(answers: Answers) {
    this.#answers = answers;
    this.#directory = mkdtempSync(join(tmpdir(), 'berth-peer-'));
    this.address = join(this.#directory, 'peer.sock');
  }

  static async start(answers: Answers): Promise<CriPeer> {
    const peer = new CriPeer(answers);
    peer.#serve(loadCri().RuntimeService.service);
    peer.#serve(adminService());
    await new Promise<void>((resolve, reject) => {
      peer.#server.bindAsync(`unix:${peer.address}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    return peer;
  }

  /** The methods that were called, in order. */
  get methods(): string[] {
    return this.requests.map(({ method }) => method);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    rmSync(this.#directory, { recursive: true, force: true });
    return Promise.resolve();
  }

  #serve(service: ServiceClientConstructor['service']): void {
    const known = Object.keys(service).filter((method) => method in this.#answers);
    this.#server.addService(
      service,
      Object.fromEntries(known.map((method) => [method, this.#handler(method)])),
    );
  }

  #handler(method: string) {
    return (call: ServerUnaryCall<Record<string, unknown>, unknown>, done: sendUnaryData<unknown>): void => {
      this.requests.push({ method, request: call.request });
      try {
        const answer = this.#answers[method]?.(call.request);
        // Without an answer the caller waits for its deadline.
        if (answer !== undefined) done(null, answer);
      } catch (error) {
        const code = error instanceof Refusal ? error.code : status.INTERNAL;
        done({ code, details: error instanceof Error ? error.message : String(error) });
      }
    };
  }
}

function adminService(): ServiceClientConstructor['service'] {
  const loaded = loadService('berth/v1/admin.proto') as unknown as {
    berth: { v1: { Admin: ServiceClientConstructor } };
  };
  return loaded.berth.v1.Admin.service;
}
