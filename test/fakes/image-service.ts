import { Server, ServerCredentials } from '@grpc/grpc-js';
import { loadCri } from '../../src/lib/proto.ts';

/**
 * An image endpoint with nothing in it. critest asks ImageFsInfo of one before each spec, also of those that use no image; a
 * runtime without images answers UNIMPLEMENTED there, as the protocol wants it to.
 */
export class EmptyImageService implements AsyncDisposable {
  readonly socket: string;
  readonly #server = new Server();

  private constructor(socket: string) {
    this.socket = socket;
  }

  static async start(socket: string): Promise<EmptyImageService> {
    const service = new EmptyImageService(socket);
    const { ImageFsInfo } = loadCri().ImageService.service;
    service.#server.addService(
      { ImageFsInfo },
      {
        ImageFsInfo: (_call: unknown, answer: (error: null, response: object) => void) =>
          answer(null, { imageFilesystems: [], containerFilesystems: [] }),
      },
    );
    await new Promise<void>((resolve, reject) => {
      service.#server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}
