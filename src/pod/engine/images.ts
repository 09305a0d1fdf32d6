import { dirname } from 'node:path';
import type { CallOptions, Connection } from '../../containerd/connection.ts';
import { Introspection, SNAPSHOTTER_TYPE, snapshotterDirectory } from '../../containerd/introspection.ts';
import { explained, type ImageService, isWithoutCri } from '../../containerd/image-service.ts';
import type { StatusResponse__Output } from '../../gen/runtime/v1/StatusResponse.ts';
import { BerthError, messageOf } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { loadCri } from '../../lib/proto.ts';

/** containerd's own choice where nothing says otherwise. */
const DEFAULT_SNAPSHOTTER = 'overlayfs';

/** The engine's images, and what its CRI plugin says about them. */
export class EngineImages {
  readonly service: ImageService;
  readonly #connection: Connection;
  #problem = '';

  constructor(service: ImageService, connection: Connection) {
    this.service = service;
    this.#connection = connection;
    connection.onChange(() => this.#look());
    this.#look();
  }

  /** Why this containerd serves none, as one without its CRI plugin, from memory; '' when it does, or is not known not to. */
  get problem(): string {
    return this.#problem;
  }

  /** The snapshotter that images are unpacked with when they are pulled. Throws UNAVAILABLE while the engine is away, FAILED_PRECONDITION when it cannot be told. */
  async snapshotter(): Promise<string> {
    return nameIn(await this.#config()) || (await this.#snapshotterOfImages()) || DEFAULT_SNAPSHOTTER;
  }

  /** Since 2.0 its status does not name it: the directory of the images is that of the snapshotter; '' when it tells of none. */
  async #snapshotterOfImages(): Promise<string> {
    const { imageFilesystems } = await this.service.imageFsInfo({});
    const directory = imageFilesystems[0]?.fsId?.mountpoint ?? '';
    if (directory === '') return '';
    const plugins = await new Introspection(this.#connection).plugins([`type==${SNAPSHOTTER_TYPE}`]);
    const found = plugins.find((plugin) => snapshotterDirectory(plugin, dirname(directory)) === directory);
    if (found !== undefined) return found.id;
    const problem = `containerd has its images in "${directory}", which is no snapshotter's that it has`;
    throw new BerthError('FAILED_PRECONDITION', `${problem}: set containerd.snapshotter`);
  }

  /** The snapshotter that its CRI has configured for a runtime handler; '' when it has none, or does not know the handler. */
  async snapshotterOf(handler: string, options?: CallOptions): Promise<string> {
    const runtimes = nested(await this.#config(options), 'runtimes') ?? {};
    return nameIn(nested(runtimes, handler) ?? {});
  }

  /** The CRI plugin's configuration of containerd itself. */
  async #config(options?: CallOptions): Promise<JsonObject> {
    const { info } = await this.#status({ verbose: true }, options);
    const config: unknown = JSON.parse(info['config'] ?? '{}');
    return isJsonObject(config) ? (nested(config, 'containerd') ?? config) : {};
  }

  async #status(request: { verbose: boolean }, options?: CallOptions): Promise<StatusResponse__Output> {
    const { Status } = loadCri().RuntimeService.service;
    try {
      return await this.#connection.unary(Status, request, options);
    } catch (error) {
      throw explained(error, this.#connection.address);
    }
  }

  /** Asks each containerd once: what it is without it gets with a restart only. Nobody waits for the answer. */
  #look(): void {
    this.#problem = '';
    if (!this.#connection.state.connected) return;
    this.#status({ verbose: false }).catch((error: unknown) => {
      if (error instanceof Error && isWithoutCri(error.cause)) this.#problem = messageOf(error);
    });
  }
}

function nameIn({ snapshotter }: JsonObject): string {
  return typeof snapshotter === 'string' ? snapshotter : '';
}

function nested(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  return isJsonObject(value) ? value : undefined;
}
