import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import { BerthError, messageOf } from '../lib/errors.ts';

/** Serves the metrics to Prometheus: GET /metrics. */
export class MetricsServer {
  readonly #address: string;
  readonly #registry: Registry;
  #server: Server | undefined;

  /** @param address `ADDRESS:PORT`; '' for no server. */
  constructor(address: string, registry: Registry) {
    this.#address = address;
    this.#registry = registry;
  }

  async start(): Promise<void> {
    if (this.#address === '') return;
    const at = this.#address.lastIndexOf(':');
    const host = this.#address.slice(0, at).replace(/^\[|\]$/g, '');
    const server = createServer((request, response) => {
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end('GET /metrics\n');
        return;
      }
      this.#registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': this.#registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${messageOf(error)}\n`),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new BerthError('UNAVAILABLE', `failed to serve metrics on "${this.#address}": ${error.message}`),
        );
      });
      server.listen(Number(this.#address.slice(at + 1)), host, resolve);
    });
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
