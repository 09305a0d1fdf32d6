import type { ServiceError } from '@grpc/grpc-js';
import type { RuntimeServiceClient } from '../../../src/gen/runtime/v1/RuntimeService.ts';
import type { CommandOptions } from './client.ts';

const DEADLINE_MS = 30_000;

interface Answer {
  readonly url: string;
}

/** The URLs that an endpoint's Exec, Attach and PortForward give. */
export class StreamingUrls {
  readonly #runtime: () => RuntimeServiceClient;

  /** @param runtime asked for each call: a daemon that was started again has another client. */
  constructor(runtime: () => RuntimeServiceClient) {
    this.#runtime = runtime;
  }

  exec(containerId: string, cmd: readonly string[], options: CommandOptions = {}): Promise<string> {
    const request = { containerId, cmd: [...cmd], ...streamsOf(options) };
    return urlOf((done) => this.#runtime().exec(request, deadline(), done));
  }

  attach(containerId: string, options: CommandOptions = {}): Promise<string> {
    return urlOf((done) => this.#runtime().attach({ containerId, ...streamsOf(options) }, deadline(), done));
  }

  portForward(podSandboxId: string, port: readonly number[] = []): Promise<string> {
    return urlOf((done) => this.#runtime().portForward({ podSandboxId, port: [...port] }, deadline(), done));
  }
}

function streamsOf({ stdin = false, stdout = true, stderr = false, tty = false }: CommandOptions): {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
} {
  return { stdin, stdout, stderr, tty };
}

function urlOf(
  start: (done: (error: ServiceError | null, answer?: Answer) => void) => unknown,
): Promise<string> {
  return new Promise((resolve, reject) => {
    start((error, answer) => {
      if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
      else resolve(answer.url);
    });
  });
}

function deadline(): { deadline: number } {
  return { deadline: Date.now() + DEADLINE_MS };
}
