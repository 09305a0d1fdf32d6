import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a registry serves of one image: its manifest, and blobs by digest. */
export interface Served {
  readonly manifest: { readonly digest: string; readonly mediaType: string; readonly content: Buffer };
  readonly blobs: ReadonlyMap<string, Buffer>;
}

/** A registry on loopback with one image, any repository and tag. It records what it is asked, and by whom. */
export class TestRegistry implements AsyncDisposable {
  readonly requests: string[] = [];
  /** The Authorization header of each request that had one. */
  readonly authorizations: string[] = [];
  /** Wants a password. */
  locked = false;
  /** Has the manifest, but refuses to give it with so many words. */
  words = '';
  /** Answers requests for blobs never. */
  stalled = false;
  readonly #server: Server;
  readonly #image: Served;

  private constructor(image: Served) {
    this.#image = image;
    this.#server = createServer((request, response) => {
      const { authorization } = request.headers;
      this.requests.push(request.url ?? '');
      if (authorization !== undefined) this.authorizations.push(authorization);
      if (this.locked && authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      } else {
        this.#answer(request.url ?? '', request.method === 'HEAD', response);
      }
    });
  }

  static async start(image: Served): Promise<TestRegistry> {
    const registry = new TestRegistry(image);
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** Host and port, as a reference begins. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(url: string, head: boolean, response: ServerResponse): void {
    const { manifest, blobs } = this.#image;
    const [path = ''] = url.split('?');
    const blob = blobs.get(path.split('/').at(-1) ?? '');
    if (path === '/v2/') response.end('{}');
    else if (path.includes('/manifests/') && !head && this.words !== '') {
      const errors = [{ code: 'DENIED', message: this.words }];
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
    } else if (path.includes('/manifests/')) {
      send(response, head, manifest.content, manifest.mediaType, manifest.digest);
    } else if (blob === undefined) response.writeHead(404).end();
    else if (!this.stalled)
      send(response, head, blob, 'application/octet-stream', path.split('/').at(-1) ?? '');
  }
}

function send(response: ServerResponse, head: boolean, body: Buffer, type: string, digest: string): void {
  const headers = { 'content-type': type, 'content-length': body.length, 'docker-content-digest': digest };
  response.writeHead(200, headers).end(head ? undefined : body);
}
