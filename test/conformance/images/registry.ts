import { createServer, type Server, type ServerResponse } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Image } from './image.ts';

/**
 * A registry on loopback, read-only and without passwords (OCI distribution-spec, pull). An image is found by the path of its
 * reference, without the host, and its tag or digest.
 */
export class Registry implements AsyncDisposable {
  readonly #server: Server;
  readonly #manifests = new Map<string, Image>();
  readonly #blobs = new Map<string, Buffer>();

  private constructor(images: ReadonlyMap<string, Image>) {
    for (const [reference, image] of images) {
      const path = reference.slice(reference.indexOf('/') + 1);
      const [name = '', tag = ''] = path.split(':');
      this.#manifests.set(`${name}/manifests/${tag}`, image);
      this.#manifests.set(`${name}/manifests/${image.digest}`, image);
      for (const [digest, blob] of image.blobs) this.#blobs.set(digest, blob);
    }
    this.#server = createServer(({ url = '', method = '' }, response) =>
      this.#answer(url.split('?')[0] ?? '', method === 'HEAD', response),
    );
  }

  static async start(images: ReadonlyMap<string, Image>): Promise<Registry> {
    const registry = new Registry(images);
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(path: string, head: boolean, response: ServerResponse): void {
    const image = this.#manifests.get(path.replace('/v2/', ''));
    const digest = path.split('/').at(-1) ?? '';
    const blob = path.includes('/blobs/') ? this.#blobs.get(digest) : undefined;
    if (path === '/v2/') response.end('{}');
    else if (image !== undefined) send(response, head, image.manifest, image.mediaType, image.digest);
    else if (blob !== undefined) send(response, head, blob, 'application/octet-stream', digest);
    else response.writeHead(404).end();
  }
}

function send(response: ServerResponse, head: boolean, body: Buffer, type: string, digest: string): void {
  const headers = { 'content-type': type, 'content-length': body.length, 'docker-content-digest': digest };
  response.writeHead(200, headers).end(head ? undefined : body);
}

/** Sends containerd to our registry for all of the hosts in the references. */
export async function hostsFiles(
  directory: string,
  registry: Registry,
  references: Iterable<string>,
): Promise<string> {
  const hosts = new Set([...references].map((reference) => reference.slice(0, reference.indexOf('/'))));
  for (const host of hosts) {
    await mkdir(join(directory, host), { recursive: true });
    const text = `server = "${registry.url}"\n[host."${registry.url}"]\n`;
    await writeFile(join(directory, host, 'hosts.toml'), text);
  }
  return directory;
}
