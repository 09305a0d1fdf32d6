import type { Connection } from '../../containerd/connection.ts';
import type { ImageService } from '../../containerd/image-service.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { loadCri } from '../../lib/proto.ts';

/** containerd's own choice where nothing says otherwise. */
const DEFAULT_SNAPSHOTTER = 'overlayfs';

/** The engine's images, and what its CRI plugin says about them. */
export class EngineImages {
  readonly service: ImageService;
  readonly #connection: Connection;

  constructor(service: ImageService, connection: Connection) {
    this.service = service;
    this.#connection = connection;
  }

  /** The snapshotter that images are unpacked with when they are pulled. Throws UNAVAILABLE while the engine is away. */
  async snapshotter(): Promise<string> {
    const { Status } = loadCri().RuntimeService.service;
    const { info } = await this.#connection.unary(Status, { verbose: true });
    const config: unknown = JSON.parse(info['config'] ?? '{}');
    const named = isJsonObject(config) ? (nested(config, 'containerd') ?? config) : {};
    const snapshotter = named['snapshotter'];
    return typeof snapshotter === 'string' && snapshotter !== '' ? snapshotter : DEFAULT_SNAPSHOTTER;
  }
}

function nested(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  return isJsonObject(value) ? value : undefined;
}
