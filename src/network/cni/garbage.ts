import { BerthError, messageOf } from '../../lib/errors.ts';
import type { JsonObject } from '../../lib/json.ts';
import type { AttachmentKey, CachedAttachment, ResultCache } from './cache.ts';
import type { DelOutcome } from './chain.ts';
import type { Attachment, NetworkList, PluginConf } from './types.ts';
import { parseNetworkList } from './configuration/parse.ts';

export interface GarbagePlan {
  /** Attachments that live, whether or not the cache knows them. Asked once nothing else runs: pods come while a collection waits. */
  valid(): readonly AttachmentKey[];
  /**
   * True for a cache entry that is provably ours and dead. Everything else in the cache, of whatever runtime, counts as
   * alive.
   */
  isStale(entry: CachedAttachment): boolean;
  /** Told of each cache entry whose DEL is done. */
  readonly onCollected?: (entry: CachedAttachment) => void;
  /** Plugins are asked what they would remove; nothing is deleted. */
  readonly dryRun?: boolean;
}

interface GarbageWork {
  readonly cache: ResultCache;
  del(attachment: Attachment): Promise<DelOutcome>;
  gc(plugin: PluginConf, added: JsonObject): Promise<void>;
}

/**
 * First a full DEL of each stale cache entry, with what its ADD was given; then GC to every plugin with all that is alive. A cache file that does not say whose it is counts as alive by its name: GC would take
 * a living pod's network away. Throws all failures in one error, after everything was tried.
 * Source: CNI specification 1.1.0, section 2, "GC".
 */
export async function collectGarbage(
  network: NetworkList,
  plan: GarbagePlan,
  work: GarbageWork,
): Promise<void> {
  const problems: string[] = [];
  const alive = new Map<string, AttachmentKey>();
  const keep = (key: AttachmentKey): unknown => alive.set(`${key.containerId} ${key.ifName}`, key);
  plan
    .valid()
    .filter((key) => key.network === network.name)
    .forEach(keep);

  const { entries, unreadable } = await work.cache.list(network.name);
  for (const entry of entries) {
    if (!plan.isStale(entry) || alive.has(`${entry.containerId} ${entry.ifName}`)) {
      keep(entry);
      continue;
    }
    if (plan.dryRun === true) continue;
    const { failures } = await work.del({ ...entry, network: await networkOf(entry, network) });
    if (failures.length === 0) plan.onCollected?.(entry);
    const what = `failed to delete stale attachment ${entry.containerId} ${entry.ifName}`;
    problems.push(...failures.map((failure) => `${what}: ${failure.error}`));
  }

  unreadable.flatMap((name) => readings(name, network.name)).forEach(keep);

  const attachments = [...alive.values()].map(({ containerId, ifName }) => ({
    containerID: containerId,
    ifname: ifName,
  }));
  const added = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments };
  for (const plugin of network.plugins) {
    await work.gc(plugin, added).catch((error: unknown) => {
      problems.push(`failed to GC plugin ${plugin.type}: ${messageOf(error)}`);
    });
  }
  if (problems.length > 0) throw new BerthError('UNKNOWN', problems.join('\n'));
}

/**
 * The attachments that a cache file may be of, by its name `<network>-<container>-<interface>`: the two last may have hyphens
 * themselves.
 */
function readings(name: string, network: string): AttachmentKey[] {
  const rest = name.slice(network.length + 1);
  return [...rest.matchAll(/(?<=.)-(?=.)/g)].map(({ index }) => ({
    network,
    containerId: rest.slice(0, index),
    ifName: rest.slice(index + 1),
  }));
}

/** The configuration of the attachment's ADD; the current one when that was not kept. */
async function networkOf(entry: CachedAttachment, current: NetworkList): Promise<NetworkList> {
  try {
    const network = await parseNetworkList(entry.config, { source: '' });
    return network.name === current.name ? network : current;
  } catch {
    return current;
  }
}
