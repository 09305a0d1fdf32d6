import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import { BerthError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';

/** Serves the metrics to Prometheus: GET and HEAD of /metrics. */
export class MetricsServer {
  readonly #address: string;
  readonly #registry: Registry;
  readonly #log: Logger;
  #server: Server | undefined;

  /** @param address `ADDRESS:PORT`; '' for no server. */
  constructor(address: string, registry: Registry, log: Logger) {
    this.#address = address;
    this.#registry = registry;
    this.#log = log;
  }

  async start(): Promise<void> {
    if (this.#address === '') return;
    const at = this.#address.lastIndexOf(':');
    const host = this.#address.slice(0, at).replace(/^\[|\]$/g, '');
    const server = createServer((request, response) => {
      const [path] = request.url?.split('?', 1) ?? [];
      // To HEAD Node answers without the body by itself.
      if (!['GET', 'HEAD'].includes(request.method ?? '') || path !== '/metrics') {
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
    // A client who cannot be let in, for want of descriptors for instance, tries again.
    server.on('error', (error) => this.#log.warn('socket of metrics', { error: error.message }));
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
