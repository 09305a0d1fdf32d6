import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import type { ContainerdConfig } from '../../config/schema.ts';
import type { CallOptions } from '../../containerd/connection.ts';
import type { Containerd } from '../../containerd/containerd.ts';
import { type Plugin, SNAPSHOTTER_TYPE, snapshotterDirectory } from '../../containerd/introspection.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import { BerthError } from '../../lib/errors.ts';
import { gone } from './gone.ts';
import type { EngineImages } from './images.ts';

/** Which snapshotter keeps what: that of a pod's runtime handler, or else the common one, keeps all of its containers' file systems. */
export class Snapshotters {
  readonly #containerd: Containerd;
  readonly #images: EngineImages;
  readonly #settings: ContainerdConfig;
  /** By the container's id. */
  readonly #known = new Map<string, string>();
  #common: Promise<string> | undefined;

  constructor(containerd: Containerd, images: EngineImages, settings: ContainerdConfig) {
    this.#containerd = containerd;
    this.#images = images;
    this.#settings = settings;
    containerd.connection.onChange(({ connected }) => {
      if (connected) this.#common = undefined;
    });
  }

  /** The common one. Asked once for each connection: containerd changes it only with a restart. Throws UNAVAILABLE while the engine is away. */
  async common(): Promise<string> {
    const { snapshotter } = this.#settings;
    this.#common ??= snapshotter === '' ? this.#images.snapshotter() : Promise.resolve(snapshotter);
    const common = this.#common;
    try {
      return await common;
    } catch (error) {
      if (this.#common === common) this.#common = undefined;
      throw error;
    }
  }

  /** Where containers of a handler are made. Throws FAILED_PRECONDITION that names the key when containerd does not have it. */
  async ofHandler(handler: string, options?: CallOptions): Promise<Snapshots> {
    const { snapshotter } = requireRuntimeHandler(this.#settings, handler);
    if (snapshotter !== '') await this.#require(snapshotter, options);
    return this.#containerd.snapshots(snapshotter === '' ? await this.common() : snapshotter);
  }

  /** Where a container is, whatever is configured by now. Throws NOT_FOUND. */
  async ofContainer(id: string, options?: CallOptions): Promise<Snapshots> {
    const known = this.#known.get(id);
    if (known !== undefined) return this.#containerd.snapshots(known);
    const { snapshotter } = await this.#containerd.containers.get(id, options);
    this.#known.set(id, snapshotter);
    return this.#containerd.snapshots(snapshotter);
  }

  /** Where a container is, or may be when only a part of it is there. */
  async holding(id: string, options?: CallOptions): Promise<Snapshots[]> {
    const one = await gone(this.ofContainer(id, options));
    return one === undefined ? this.all(options) : [one];
  }

  /** Notes where a container is made, before it is. */
  note(id: string, { snapshotter }: Snapshots): void {
    this.#known.set(id, snapshotter);
  }

  forget(id: string): void {
    this.#known.delete(id);
  }

  /** Wherever containers are made: the common one first, then those of handlers; one that containerd does not have keeps nothing. */
  async all(options?: CallOptions): Promise<Snapshots[]> {
    const own = [...this.#settings.runtimes.values()].map(({ snapshotter }) => snapshotter);
    const common = await this.common();
    const others = new Set(own.filter((name) => name !== '' && name !== common));
    const plugins = others.size === 0 ? [] : (await this.#plugins(options)).filter(isRunning);
    const running = plugins.map(({ id }) => id).filter((id) => others.has(id));
    return [common, ...running].map((name) => this.#containerd.snapshots(name));
  }

  /** The directory with the snapshots, by which kubelet finds the file system that they are on; '' when it is not known. */
  async directory(snapshotter: string, options?: CallOptions): Promise<string> {
    const { imageFilesystems } = await this.#images.service.imageFsInfo({}, options);
    const common = imageFilesystems[0]?.fsId?.mountpoint ?? '';
    if (snapshotter === (await this.common())) return common;
    const plugin = (await this.#plugins(options)).find(({ id }) => id === snapshotter);
    if (plugin === undefined || (plugin.exports['root'] === undefined && common === '')) return '';
    const directory = snapshotterDirectory(plugin, dirname(common));
    // One that does not tell may be a process of its own that has them elsewhere, and over a directory that is absent kubelet loses the
    // statistics of the whole node.
    return plugin.exports['root'] !== undefined || existsSync(directory) ? directory : '';
  }

  async #require(snapshotter: string, options?: CallOptions): Promise<void> {
    const plugins = await this.#plugins(options);
    const plugin = plugins.find(({ id }) => id === snapshotter);
    if (plugin !== undefined && isRunning(plugin)) return;
    const keys = [...this.#settings.runtimes]
      .filter(([, handler]) => handler.snapshotter === snapshotter)
      .map(([name]) => `containerd.runtimes.${name}.snapshotter`);
    const there = plugins.filter(isRunning).map(({ id }) => id);
    const why =
      plugin === undefined
        ? `containerd has no snapshotter "${snapshotter}"; there is ${there.join(', ')}`
        : `containerd does not run the snapshotter "${snapshotter}": ${plugin.failure ?? ''}`;
    throw new BerthError('FAILED_PRECONDITION', `invalid ${keys.join(', ')}: ${why}`);
  }

  /** Asked each time: one that is a process of its own may have been added with a restart of containerd. */
  #plugins(options?: CallOptions): Promise<Plugin[]> {
    return this.#containerd.introspection.plugins([`type==${SNAPSHOTTER_TYPE}`], options);
  }
}

function isRunning({ failure }: Plugin): boolean {
  return failure === undefined;
}
