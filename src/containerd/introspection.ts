import { join } from 'node:path';
import { BerthError } from '../lib/errors.ts';
import type { JsonObject } from '../lib/json.ts';
import type { CallOptions, Connection } from './connection.ts';
import { type Any, fromJsonAny, fromMessageAny, messageAny } from './typeurl.ts';

export interface Plugin {
  /** Such as `io.containerd.snapshotter.v1`. */
  readonly type: string;
  readonly id: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** Why it is not running; undefined when it is. */
  readonly failure: string | undefined;
}

export const SNAPSHOTTER_TYPE = 'io.containerd.snapshotter.v1';

/** Where a snapshotter has its files: as it tells, or else where containerd has it by default, in this directory. */
export function snapshotterDirectory({ id, exports }: Plugin, root: string): string {
  return exports['root'] ?? join(root, `${SNAPSHOTTER_TYPE}.${id}`);
}

/** What an OCI runtime says about itself. */
export interface RuntimeInfo {
  readonly name: string;
  readonly version: string;
  /** The features document of the OCI runtime specification; undefined when the runtime has none. */
  readonly features: JsonObject | undefined;
}

/** What this containerd consists of. */
export class Introspection {
  readonly #connection: Connection;
  readonly #api;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#api = connection.api;
  }

  /** containerd's version without a leading v, and its revision. */
  async version(options?: CallOptions): Promise<{ version: string; revision: string }> {
    const { Version } = this.#api.services.version.v1.Version.service;
    const { version, revision } = await this.#connection.unary(Version, {}, options);
    return { version: version.replace(/^v/, ''), revision };
  }

  /** Identifies this containerd's root directory for as long as it exists. */
  async uuid(options?: CallOptions): Promise<string> {
    const { Server } = this.#api.services.introspection.v1.Introspection.service;
    const { uuid } = await this.#connection.unary(Server, {}, options);
    return uuid;
  }

  /** Plugins, also those that are not running. */
  async plugins(filters: readonly string[] = [], options?: CallOptions): Promise<Plugin[]> {
    const { Plugins } = this.#api.services.introspection.v1.Introspection.service;
    const { plugins } = await this.#connection.unary(Plugins, { filters: [...filters] }, options);
    return plugins.map(({ type, id, exports, capabilities, initErr }) => ({
      type,
      id,
      exports,
      capabilities,
      failure: initErr === null ? undefined : initErr.message,
    }));
  }

  /** Asks an OCI runtime, by its runtime type, what it can do. undefined before containerd 2.0, which cannot ask. */
  async runtimeInfo(
    runtime: { readonly type: string; readonly options?: Any },
    options?: CallOptions,
  ): Promise<RuntimeInfo | undefined> {
    const { PluginInfo } = this.#api.services.introspection.v1.Introspection.service;
    const { RuntimeRequest, RuntimeInfo } = this.#api.types;
    const asked = { runtimePath: runtime.type, options: runtime.options ?? null };
    const request = {
      type: 'io.containerd.runtime.v2',
      id: 'task',
      options: messageAny('containerd.types.RuntimeRequest', RuntimeRequest, asked),
    };
    try {
      const { extra } = await this.#connection.unary(PluginInfo, request, options);
      const info = fromMessageAny('containerd.types.RuntimeInfo', RuntimeInfo, extra);
      if (info === undefined) return undefined;
      return { name: info.name, version: info.version?.version ?? '', features: fromJsonAny(info.features) };
    } catch (error) {
      if (error instanceof BerthError && error.code === 'UNIMPLEMENTED') return undefined;
      throw error;
    }
  }
}
