/** The DEL of a chain: in reverse order, past plugins that fail, and in the stead of those that are not there any more. */
import { BerthError, messageOf } from '../../lib/errors.ts';
import { deadlineSignal } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/json.ts';
import { field } from './fields.ts';
import { cniCodeOf } from './plugin-call.ts';
import { CniCode, type NetworkList, type PluginConf } from './types.ts';

/** One plugin whose DEL is owed still. */
export interface DelFailure {
  /** In the list's plugins. */
  readonly index: number;
  readonly type: string;
  readonly error: string;
  /** CNI code; 0 when there is none. */
  readonly code: number;
  /** The error in the plugin's own words. */
  readonly reason: string;
  /** Whether its addresses are free all the same: the plugin is not there, and its IPAM plugin was asked in its stead. */
  readonly isReleased: boolean;
}

export interface DelWalk {
  /** Indexes in the list of the plugins to ask; all by default. */
  readonly only?: readonly number[];
  /**
   * Time for the whole walk in milliseconds, shared out as it goes: a plugin that hangs may use up its own
   * part, not that of those after it.
   */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
  /** Whether the namespace is gone: while it is there nobody else is to be given its address. */
  readonly isGone: boolean;
  /** Calls a plugin of this type with the configuration of one of the list: that one, or what it delegates to. */
  readonly del: (plugin: PluginConf, type: string, signal: AbortSignal) => Promise<void>;
}

/** Asks every plugin; what failed is returned. An unknown container (code 3) is as good as deleted. */
export async function walkDel(network: NetworkList, walk: DelWalk): Promise<DelFailure[]> {
  const plugins = chosen(network, walk).reverse();
  const endsAt = walk.timeoutMs === undefined ? undefined : performance.now() + walk.timeoutMs;
  const failures: DelFailure[] = [];
  for (const [done, [index, plugin]] of plugins.entries()) {
    const share =
      endsAt === undefined ? undefined : Math.max(0, endsAt - performance.now()) / (plugins.length - done);
    const failure = await delOne(plugin, share, walk);
    if (failure !== undefined) failures.push({ index, type: plugin.type, ...failure });
  }
  return failures;
}

/** The plugins that a DEL asks, with their indexes, in the list's order. */
export function chosen({ plugins }: NetworkList, { only }: Pick<DelWalk, 'only'>): [number, PluginConf][] {
  return [...plugins.entries()].filter(([index]) => only?.includes(index) ?? true);
}

async function delOne(
  plugin: PluginConf,
  share: number | undefined,
  walk: DelWalk,
): Promise<Omit<DelFailure, 'index' | 'type'> | undefined> {
  using limit =
    share === undefined
      ? { signal: walk.signal, [Symbol.dispose]: () => undefined }
      : deadlineSignal('delete', share, walk.signal);
  const { signal } = limit;
  try {
    await walk.del(plugin, plugin.type, signal);
    return undefined;
  } catch (error) {
    const code = cniCodeOf(error);
    if (code === CniCode.ContainerUnknown) return undefined;
    const isLeft = walk.isGone && isMissing(error) && !signal.aborted;
    return {
      error: messageOf(error),
      code,
      reason: messageOf((error as Error).cause ?? error),
      isReleased: isLeft && (await release(plugin, (type) => walk.del(plugin, type, signal))),
    };
  }
}

/** Whether there was nothing that could be run. */
function isMissing(error: unknown): boolean {
  return error instanceof BerthError && error.meta['provider'] === '';
}

/**
 * DEL of the IPAM plugin alone that a plugin delegates to, with the configuration that it would hand on. False when it has none, or that
 * failed. Should the plugin be there again its own DEL finds nothing to give back any more, which is success.
 */
export async function release(
  plugin: PluginConf,
  del: (ipamType: string) => Promise<void>,
): Promise<boolean> {
  const ipam = field(plugin, 'ipam');
  const type = isJsonObject(ipam) ? field(ipam, 'type') : '';
  if (typeof type !== 'string' || type === '') return false;
  return del(type).then(
    () => true,
    () => false,
  );
}
