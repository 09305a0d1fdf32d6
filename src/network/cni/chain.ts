/** The operations on a network list, plugin after plugin (CNI specification 1.1.0, sections 3 and 4). */
import { BerthError, invalid, messageOf, wrap } from '../../lib/errors.ts';
import { deadlineSignal } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { formatArgs } from './args.ts';
import type { AttachmentKey, ResultCache } from './cache.ts';
import { isExhausted } from './exhausted.ts';
import { chosen, type DelFailure, type DelWalk, release, walkDel } from './del.ts';
import { field } from './fields.ts';
import { collectGarbage, type GarbagePlan } from './garbage.ts';
import { Gate } from './gate.ts';
import type { Hints, Invoke, PluginReply, PluginRequest } from './invoke/invoke.ts';
import { checkAttachment } from './names.ts';
import { type CallOptions, callPlugin } from './plugin-call.ts';
import { networkConfig, requestConfig } from './plugin-config.ts';
import {
  type Attachment,
  CniCode,
  CniError,
  type NetworkList,
  type PluginConf,
  type Result,
  type Verb,
} from './types.ts';
import { fromResult, toResult } from './versions/convert.ts';
import { CURRENT_VERSION, isAtLeast } from './versions/versions.ts';

export interface ChainParts {
  readonly invoke: Invoke;
  readonly cache: ResultCache;
  /** CNI_PATH. */
  readonly binDirs: readonly string[];
  /** Ten seconds when absent. */
  readonly garbageCallMs?: number;
}

export interface ChainOptions extends CallOptions {
  /** Instead of the attachment's own: '' on a DEL when the namespace is gone. */
  readonly netns?: string;
}

export interface AddOptions extends ChainOptions {
  /** Given the writing of the cache file, which add() then does not wait for: a failure is the caller's to see. */
  readonly onCacheWrite?: (written: Promise<void>) => void;
  /** Told of what each plugin has returned, before the next one is asked. */
  readonly onResult?: (result: Result) => void;
}

export interface DelOptions extends ChainOptions, Pick<DelWalk, 'only' | 'timeoutMs'> {
  /** What ADD returned; without it the cache is asked. */
  readonly result?: Result | undefined;
}

/** What failed an ADD, and how far it had come. */
export class FailedPlugin extends BerthError {
  /** In the list's plugins; those before it have done their work, and those after it were not called. */
  readonly index: number;
  /** What the one before it returned. */
  readonly prevResult: Result | undefined;

  constructor({ code, message, cause, meta }: BerthError, index: number, prevResult: Result | undefined) {
    super(code, message, { cause, meta });
    this.index = index;
    this.prevResult = prevResult;
  }
}

export interface DelOutcome {
  readonly failures: readonly DelFailure[];
}

/** How long one plugin may take for a GC, and all of a chain for the DEL of something stale: other pods of the network wait meanwhile. */
const GARBAGE_CALL_MS = 10_000;

/**
 * Runs chains. Operations on one attachment must not overlap, which is the caller's to see to; operations on different ones
 * run side by side, and a garbage collection runs alone on its network.
 */
export class Chain {
  readonly #invoke: Invoke;
  readonly #cache: ResultCache;
  readonly #binDirs: readonly string[];
  readonly #garbageCallMs: number;
  /** By the names of networks. */
  readonly #gates = new Map<string, Gate>();

  constructor(parts: ChainParts) {
    this.#invoke = parts.invoke;
    this.#cache = parts.cache;
    this.#binDirs = parts.binDirs;
    this.#garbageCallMs = parts.garbageCallMs ?? GARBAGE_CALL_MS;
  }

  /**
   * ADD: each plugin is given the result of the one before; the last result is cached and returned. After a
   * failure nothing is undone: it throws a FailedPlugin, and the caller owes a del. One of index -1 says that no plugin was called: a
   * garbage collection took all the time.
   */
  async add(attachment: Attachment, options: AddOptions): Promise<Result> {
    checkAttachment(attachment);
    const gate = this.#gateOf(attachment.network);
    let hasBegun = false as boolean;
    const begin = (): Promise<Result> => {
      hasBegun = true;
      return this.#add(attachment, gate, options);
    };
    try {
      return await gate.shared(begin, options.signal);
    } catch (error) {
      if (hasBegun) throw error;
      const doing = `no plugin of network "${attachment.network.name}" was called`;
      throw new FailedPlugin(wrap(doing, error), -1, undefined);
    }
  }

  /**
   * DEL, in reverse order and past failing plugins. Never throws for a plugin's failure: what failed is in the
   * outcome, to be asked for again with `only`. An unknown container (code 3) is as good as deleted. When
   * nothing is owed any more the cache file is dropped.
   */
  async del(attachment: Attachment, options: DelOptions): Promise<DelOutcome> {
    checkAttachment(attachment);
    return this.#gateOf(attachment.network).shared(() => this.#del(attachment, options), options.signal);
  }

  /** What the last ADD returned, as cached; undefined when nothing is. */
  async cachedResult(attachment: Attachment): Promise<Result | undefined> {
    const cached = await this.#cache.read(keyOf(attachment));
    if (cached?.result === undefined) return undefined;
    return toResult(cached.result, attachment.network.cniVersion);
  }

  /**
   * For an attachment whose DEL nobody will ask these plugins for any more: their IPAM plugins give the addresses back, and what is cached is
   * dropped. Never throws for a plugin.
   */
  async forget(attachment: Attachment, options: DelOptions): Promise<void> {
    const { network } = attachment;
    await this.#gateOf(network).shared(async () => {
      const del = await this.#delCall(attachment, options);
      for (const [, plugin] of chosen(network, options))
        await release(plugin, (type) => del(plugin, type, options.signal));
    }, options.signal);
    await this.#cache.delete(keyOf(attachment));
  }

  /**
   * CHECK (0.4.0 and newer), in order, each plugin given the final result: the one given, or the cached one.
   * Throws what the first failing plugin reported. Nothing happens for a list that disables it.
   */
  async check(
    attachment: Attachment,
    options: ChainOptions & { readonly result?: Result | undefined },
  ): Promise<void> {
    checkAttachment(attachment);
    const { network } = attachment;
    if (network.disableCheck) return;
    if (!isAtLeast(network.cniVersion, '0.4.0')) {
      throw new BerthError(
        'UNIMPLEMENTED',
        `configuration version "${network.cniVersion}" does not support CHECK command`,
      );
    }
    const result = options.result ?? (await this.cachedResult(attachment));
    if (result === undefined) {
      throw new BerthError(
        'FAILED_PRECONDITION',
        `failed to get network "${network.name}" cached result: there is none`,
      );
    }
    await this.#gateOf(network).shared(async () => {
      for (const plugin of network.plugins) {
        await this.#call(
          this.#request('CHECK', attachment, plugin, options, result),
          network,
          options,
          nothing,
        );
      }
    }, options.signal);
  }

  /** Garbage collection; see collectGarbage. Waits for a moment without ADD and DEL on this network, and holds new ones back. */
  async gc(network: NetworkList, plan: GarbagePlan, options: CallOptions): Promise<void> {
    if (network.disableGC) return;
    const { dryRun = false } = plan;
    const hints = { ...options.hints, dryRun };
    const collect = (): Promise<void> =>
      collectGarbage(network, plan, {
        cache: this.#cache,
        del: (attachment) => this.#del(attachment, { ...options, timeoutMs: this.#garbageCallMs }),
        gc: async (plugin, attachments) => {
          const request = this.#nodeRequest('GC', network, plugin, hints, attachments);
          using limit = deadlineSignal('GC', this.#garbageCallMs, options.signal);
          await this.#call(request, network, { ...options, signal: limit.signal }, nothing);
        },
      });
    // To look changes nothing, and need not hold up pods.
    await (dryRun ? collect() : this.#gateOf(network).exclusive(collect, options.signal));
  }

  /**
   * STATUS: resolves when every plugin can serve an ADD, throws what the first one that cannot reported; that a range is exhausted
   * only when nothing else is wrong. Of a list older than 1.1.0 only built-in plugins are asked.
   */
  async status(network: NetworkList, options: CallOptions): Promise<void> {
    let exhausted: BerthError | undefined;
    for (const plugin of network.plugins) {
      const request = this.#nodeRequest('STATUS', network, plugin, options.hints);
      try {
        await this.#call(request, network, options, nothing);
      } catch (error) {
        if (!(error instanceof BerthError) || !isExhausted(error)) throw error;
        exhausted ??= error;
      }
    }
    if (exhausted !== undefined) throw exhausted;
  }

  /** VERSION: the versions that a plugin supports. A plugin from before that verb supports 0.1.0. */
  async version(type: string, options: CallOptions): Promise<readonly string[]> {
    const config = { cniVersion: CURRENT_VERSION };
    // Plugins built with an old skeleton want these to be there.
    const request = { ...this.#networkRequest('VERSION', type, config), netns: 'dummy', ifName: 'dummy' };
    try {
      return await callPlugin(this.#invoke, request, '', options, (reply) => versionsOf(reply.output));
    } catch (error) {
      if (messageOf(error).includes('unknown CNI_COMMAND: VERSION')) return ['0.1.0'];
      throw error;
    }
  }

  #gateOf({ name }: NetworkList): Gate {
    const gate = this.#gates.get(name) ?? new Gate();
    this.#gates.set(name, gate);
    return gate;
  }

  async #add(attachment: Attachment, gate: Gate, options: AddOptions): Promise<Result> {
    let result: Result | undefined;
    const { network } = attachment;
    for (const [index, plugin] of network.plugins.entries()) {
      const prevResult = result;
      const request = this.#request('ADD', attachment, plugin, options, prevResult);
      result = await this.#call(request, network, options, (reply) =>
        toResult(resultOf(reply), network.cniVersion),
      ).catch((error: unknown) => {
        throw error instanceof BerthError ? new FailedPlugin(error, index, prevResult) : error;
      });
      options.onResult?.(result);
    }
    if (result === undefined) throw invalid('network list', `"${network.name}" has no plugins`);
    const written = this.#cache.write(attachment, fromResult(result, network.cniVersion));
    if (options.onCacheWrite === undefined) {
      await written;
    } else {
      options.onCacheWrite(written);
      // Until it is written a garbage collection would take the attachment for nobody's.
      void gate.shared(() => written.catch(() => undefined), new AbortController().signal);
    }
    return result;
  }

  async #del(attachment: Attachment, options: DelOptions): Promise<DelOutcome> {
    const failures = await walkDel(attachment.network, {
      ...options,
      isGone: netnsOf(attachment, options) === '',
      del: await this.#delCall(attachment, options),
    });
    if (failures.length === 0) await this.#cache.delete(keyOf(attachment));
    return { failures };
  }

  async #delCall(attachment: Attachment, options: DelOptions): Promise<DelWalk['del']> {
    const { network } = attachment;
    const prevResult = isAtLeast(network.cniVersion, '0.4.0')
      ? (options.result ?? (await this.cachedResult(attachment).catch(() => undefined)))
      : undefined;
    return (plugin, type, signal) => {
      const request = { ...this.#request('DEL', attachment, plugin, options, prevResult), type };
      return this.#call(request, network, { ...options, signal }, nothing);
    };
  }

  #request(
    verb: Verb,
    attachment: Attachment,
    plugin: PluginConf,
    options: ChainOptions,
    prevResult: Result | undefined,
  ): PluginRequest {
    const { network, capabilityArgs } = attachment;
    return {
      ...this.#networkRequest(
        verb,
        plugin.type,
        requestConfig(network, plugin, { prevResult, capabilityArgs }),
      ),
      containerId: attachment.containerId,
      netns: netnsOf(attachment, options),
      ifName: attachment.ifName,
      args: formatArgs(attachment.args),
      ...(options.hints === undefined ? {} : { hints: options.hints }),
    };
  }

  /** For the verbs that concern no attachment, which came with 1.1.0. */
  #nodeRequest(
    verb: 'GC' | 'STATUS',
    network: NetworkList,
    plugin: PluginConf,
    hints: Hints = {},
    added: JsonObject = {},
  ): PluginRequest {
    const knowsThem = isAtLeast(network.cniVersion, '1.1.0');
    const config = networkConfig(
      knowsThem ? network : { ...network, cniVersion: CURRENT_VERSION },
      plugin,
      added,
    );
    const request = this.#networkRequest(verb, plugin.type, config);
    return { ...request, hints: knowsThem ? hints : { ...hints, builtinsOnly: true } };
  }

  #networkRequest(verb: Verb, type: string, config: JsonObject): PluginRequest {
    return { verb, type, containerId: '', netns: '', ifName: '', args: '', path: this.#binDirs, config };
  }

  #call<T>(
    request: PluginRequest,
    network: NetworkList,
    options: CallOptions,
    read: (reply: PluginReply) => T,
  ): Promise<T> {
    return callPlugin(this.#invoke, request, network.name, options, read);
  }
}

function keyOf(attachment: Attachment): AttachmentKey {
  const { network, containerId, ifName } = attachment;
  return { network: network.name, containerId, ifName };
}

function netnsOf({ netns }: Attachment, options: ChainOptions): string {
  return options.netns ?? netns;
}

function nothing(): void {
  // These verbs have no answer but success.
}

function resultOf(reply: PluginReply): unknown {
  if (reply.output !== undefined) return reply.output;
  throw new CniError(CniCode.DecodeFailure, 'netplugin succeeded but printed no result');
}

function versionsOf(output: unknown): readonly string[] {
  const info = isJsonObject(output) ? output : {};
  const versions = field(info, 'supportedVersions');
  if (
    Array.isArray(versions) &&
    versions.length > 0 &&
    versions.every((entry): entry is string => typeof entry === 'string')
  )
    return versions;
  if (field(info, 'cniVersion') === '0.2.0') return ['0.1.0', '0.2.0'];
  throw new CniError(CniCode.DecodeFailure, 'decoding version info: missing field supportedVersions');
}
