import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import {
  type Invoke,
  type InvokeOptions,
  PluginError,
  type PluginReply,
  type PluginRequest,
} from '../cni/invoke/invoke.ts';
import { VERSION_WHEN_EMPTY } from '../cni/versions/versions.ts';
import { key } from './config.ts';
import { passedOver } from './context.ts';
import { ipamTypeIfAny } from './main-conf.ts';
import type { Plugin } from './plugin.ts';
import type { Registry } from './registry.ts';
import { versionsOf } from './skeleton.ts';

export interface SelectingInvokeOptions {
  /** `[cni] builtin`: with `never` every plugin is an executable. */
  readonly builtin: 'auto' | 'never';
  /** Asked only which keys a built-in understands; nothing runs in it. */
  readonly registry: Registry;
  readonly builtins: Invoke;
  /** ADDs of built-ins that wait for somebody else: a DHCP server, or an executable that they delegate to. */
  readonly waiting: Invoke;
  /** Other calls of built-ins that delegate to an executable: no DEL and no STATUS waits behind ADDs that wait. */
  readonly delegating: Invoke;
  readonly executables: Invoke;
}

/**
 * Chooses who serves a plugin: the built-in when there is one that understands every key of the configuration, else the
 * executable. What such a plugin delegates to (the IPAM of bridge, the delegate of flannel) is chosen again, by the same rule.
 */
export class SelectingInvoke implements Invoke {
  private readonly options: SelectingInvokeOptions;

  constructor(options: SelectingInvokeOptions) {
    this.options = options;
  }

  /** Throws as the chosen one does; names the key that the built-in does not understand when there is no executable either. */
  async invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    const { builtin, registry, builtins, waiting, delegating, executables } = this.options;
    const plugin = builtin === 'never' ? undefined : registry.get(request.type);
    if (plugin === undefined) return executables.invoke(request, options);
    const unknown = request.verb === 'VERSION' ? undefined : plugin.unknownKey(request.config);
    if (unknown === undefined) {
      if (request.verb === 'ADD' && passesOn(plugin, request.config)) return passedOn(request);
      const slow = request.verb === 'ADD' ? waiting : delegating;
      return (this.waits(request) ? slow : builtins).invoke(request, options);
    }
    try {
      return await executables.invoke(request, options);
    } catch (error) {
      if (!(error instanceof PluginError) || error.provider !== '') throw error;
      throw new PluginError(passedOver(request.type, unknown, error.message), {
        code: error.code,
        cause: error,
      });
    }
  }

  /** Whether others take the time of the call: an executable takes as long as it likes, whatever the verb. */
  private waits({ verb, type, config }: PluginRequest): boolean {
    const { registry } = this.options;
    const delegates = delegatesOf(config);
    const isExecutable = (delegate: Delegate): boolean =>
      registry.get(delegate.type)?.unknownKey(delegate.config) !== undefined || !registry.has(delegate.type);
    if (delegates.some(isExecutable)) return true;
    const all = [{ type, config }, ...delegates];
    return verb === 'ADD' && all.some((each) => registry.get(each.type)?.waits?.(each.config) === true);
  }
}

/** In a version that the plugin does not speak it has to run, and to say so. */
function passesOn(plugin: Plugin, config: JsonObject): boolean {
  const version = key(config, 'cniVersion') ?? '';
  const isSpoken = versionsOf(plugin).some((each) => each === (version || VERSION_WHEN_EMPTY));
  return isSpoken && plugin.passesOn?.(config) === true;
}

interface Delegate {
  readonly type: string;
  readonly config: JsonObject;
}

/** What a plugin of this configuration delegates to: its IPAM, and what a plugin like flannel stands in front of. */
function delegatesOf(config: JsonObject): Delegate[] {
  const delegate = key(config, 'delegate');
  const inner = isJsonObject(delegate) ? { type: key(delegate, 'type'), config: delegate } : undefined;
  return [{ type: ipamTypeIfAny(config), config }, inner].filter(
    (each): each is Delegate => typeof each?.type === 'string' && each.type !== '',
  );
}

function passedOn({ config }: PluginRequest): PluginReply {
  return { output: key(config, 'prevResult'), provider: 'built-in', stderr: '' };
}
