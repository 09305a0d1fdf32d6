/**
 * Looking after the networks without a pod in hand: collecting what is left of attachments that are gone, and trying whether a pod
 * could be attached.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Namespaces } from '../kernel/namespaces.ts';
import { deadlineSignal } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { AttachmentKey, CachedAttachment, ResultCache } from './cni/cache.ts';
import type { Chain } from './cni/chain.ts';
import { parseNetworkList } from './cni/configuration/parse.ts';
import type { Hints, Remain } from './cni/invoke/invoke.ts';
import type { Attachment, NetworkList, Result, Step } from './cni/types.ts';
import { isAtLeast } from './cni/versions/versions.ts';
import type { Networks } from './networks.ts';

/** How often garbage is collected unasked. */
const PERIOD_MS = 60 * 60_000;
const EXHAUSTED_PAUSE_MS = 30_000;
/** How long one network's collection may take, waiting for a moment without ADD and DEL included. */
const COLLECT_MS = 60_000;
/** A collection that took so long, of which pods may have waited for the most, is not soon begun again for a range that is exhausted. */
const SLOW_MS = 10_000;
const SLOW_PAUSE_MS = 5 * 60_000;

/** What the container of a trial is called. */
const TRIAL = 'trial-';

export interface MaintenanceOptions {
  readonly chain: Chain;
  readonly cache: ResultCache;
  readonly networks: Pick<Networks, 'every' | 'active'>;
  readonly namespaces: Pick<Namespaces, 'create' | 'remove' | 'isNamespace'>;
  readonly netnsDir: string;
  /** The first 8 characters of the instance's uuid: our namespaces' names begin with it. */
  readonly instance: string;
  /** Attachments of sandboxes that Berth has, and of debts. */
  readonly living: () => readonly AttachmentKey[];
  /** Addresses of sandboxes and of debts. */
  readonly livingAddresses: () => readonly string[];
  /** What an ADD on the network must not hand out. */
  readonly withheld: (network: NetworkList) => NonNullable<Hints['withheld']>;
  readonly delTimeoutMs: number;
  readonly log: Logger;
}

/** What is known of one network's attachments. */
export interface NetworkGarbage {
  readonly network: string;
  /** Ours, and gone: collected, unless it is a dry run. */
  readonly orphans: readonly AttachmentKey[];
  /** As these, but not collected: a later collection tries again. */
  readonly failed: readonly AttachmentKey[];
  /** Of somebody else, with no namespace: reported and left alone. */
  readonly foreign: readonly AttachmentKey[];
  /** What else built-in plugins find: reservations, rules, links and files. */
  readonly remains: readonly Remain[];
  /** Cache files that do not say whose they are: counted as living, by their names. */
  readonly unreadable: readonly string[];
  /** What failed. */
  readonly error?: string;
}

type Sorted = Pick<NetworkGarbage, 'orphans' | 'foreign' | 'unreadable'>;

/** One network tried. */
export interface NetworkTrial {
  readonly network: string;
  readonly steps: readonly Step[];
  readonly addresses: readonly string[];
  readonly error?: string;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** No collection is begun for an exhausted range before that. */
  #notBefore = Number.NEGATIVE_INFINITY;
  #exhausted: Promise<unknown> | undefined;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Takes down the trials that a Berth was killed in, and collects once an hour from now on. */
  start(): void {
    void this.#endTrials();
    this.#timer = setInterval(() => void this.collect({ dryRun: false }), PERIOD_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopping.abort();
  }

  /**
   * For an ADD that found no address left; one that meanwhile finds none either waits for the same collection. Not more than twice a
   * minute: a range may be full of the living.
   */
  async onExhausted(): Promise<void> {
    const now = performance.now();
    if (now >= this.#notBefore) {
      this.#notBefore = Infinity;
      this.#exhausted = this.collect({ dryRun: false }).finally(() => {
        const ended = performance.now();
        this.#notBefore = ended - now < SLOW_MS ? now + EXHAUSTED_PAUSE_MS : ended + SLOW_PAUSE_MS;
      });
    }
    await this.#exhausted;
  }

  /**
   * Collects the garbage of every network: a full DEL of each attachment that is provably ours and gone, then GC to the plugins.
   * With dryRun it only looks. Never throws for a network: what failed is in its entry.
   */
  async collect({ dryRun }: { readonly dryRun: boolean }): Promise<NetworkGarbage[]> {
    const found: NetworkGarbage[] = [];
    if (!dryRun) await this.#sweep();
    for (const network of this.#options.networks.every()) {
      const garbage = await this.#collectOne(network, dryRun);
      const { orphans, remains, error } = garbage;
      const stale = remains.filter(({ verdict }) => verdict === 'stale').map(({ what }) => what);
      if (orphans.length + stale.length > 0 && !dryRun) {
        const what = { network: network.name, orphans, remains: stale };
        this.#options.log.info('collected attachments that are gone', what);
      }
      if (error !== undefined) {
        this.#options.log.warn('failed to collect garbage', { network: network.name, error });
      }
      found.push(garbage);
    }
    return found;
  }

  async #sweep(): Promise<void> {
    try {
      await this.#options.cache.sweep();
    } catch (error) {
      this.#options.log.warn('failed to sweep the cache of results', { error: messageOf(error) });
    }
  }

  /** How many attachments of a network a collection would take. Asks no plugin. */
  async orphans(network: string): Promise<number> {
    return (await this.#sort(network)).orphans.length;
  }

  async #collectOne(network: NetworkList, dryRun: boolean): Promise<NetworkGarbage> {
    const { cache, chain, living, livingAddresses } = this.#options;
    const remains: Remain[] = [];
    const collected = new Set<string>();
    let found: Sorted = { orphans: [], foreign: [], unreadable: [] };
    try {
      found = await this.#sort(network.name);
      const dead = new Set(found.orphans.map(nameOf));
      using deadline = deadlineSignal('garbage collection', COLLECT_MS, this.#stopping.signal);
      await chain.gc(
        network,
        {
          valid: living,
          isStale: (entry) => dead.has(nameOf(entry)),
          onCollected: (entry) => collected.add(nameOf(entry)),
          dryRun,
        },
        {
          signal: deadline.signal,
          hints: { living: livingAddresses() },
          onRemain: (remain) => void remains.push(remain),
        },
      );
      const elsewhere = new Set((await cache.all()).map(({ containerId }) => containerId));
      for (const { containerId } of living()) elsewhere.add(containerId);
      const isLeft = ({ verdict, containerId }: Remain): boolean =>
        verdict === 'stale' || !elsewhere.has(containerId);
      return { network: network.name, ...found, failed: [], remains: remains.filter(isLeft) };
    } catch (error) {
      const isCollected = (key: AttachmentKey): boolean => dryRun || collected.has(nameOf(key));
      return {
        network: network.name,
        ...found,
        orphans: found.orphans.filter(isCollected),
        failed: found.orphans.filter((key) => !isCollected(key)),
        remains,
        error: messageOf(error),
      };
    }
  }

  /** The cache entries of a network whose namespace is gone, and files that tell nothing. */
  async #sort(network: string): Promise<Sorted> {
    const alive = new Set(this.#options.living().map(nameOf));
    const { entries, unreadable } = await this.#options.cache.list(network);
    const gone = entries.filter((entry) => !alive.has(nameOf(entry)) && this.#isGone(entry));
    return {
      orphans: gone.filter((entry) => this.#isOurs(entry)).map(keyOf),
      foreign: gone.filter((entry) => !this.#isOurs(entry)).map(keyOf),
      unreadable,
    };
  }

  #isGone({ netns }: CachedAttachment): boolean {
    return netns !== '' && !this.#options.namespaces.isNamespace(netns);
  }

  #isOurs({ netns }: CachedAttachment): boolean {
    const { netnsDir, instance } = this.#options;
    return dirname(netns) === netnsDir && basename(netns).startsWith(`berth-${instance}-`);
  }

  /**
   * Attaches a namespace of its own to every network as the next pod would be, checks it and takes it down again. The steps tell how far
   * it came; an error is that of the first step that failed, and the DEL is done in any case.
   */
  async trial(signal: AbortSignal): Promise<NetworkTrial[]> {
    const { networks, namespaces, netnsDir, instance } = this.#options;
    const id = `${TRIAL}${randomBytes(8).toString('hex')}`;
    const netns = join(netnsDir, `berth-${instance}-${id}`);
    await namespaces.create({ net: netns, loopbackUp: true });
    try {
      const trials: NetworkTrial[] = [];
      for (const [index, network] of networks.active('').entries()) {
        const attachment = {
          network,
          containerId: id,
          netns,
          ifName: `eth${index}`,
          args: [],
          capabilityArgs: {},
        };
        trials.push(await this.#try(attachment, signal));
      }
      return trials;
    } finally {
      await namespaces.remove(netns);
    }
  }

  /** Of earlier Berths. A DEL that fails is left to garbage collections, which find the namespace gone. Never rejects. */
  async #endTrials(): Promise<void> {
    const { cache, namespaces, netnsDir, instance, log } = this.#options;
    // At once, before there can be one of ours.
    const pins = namesIn(netnsDir)
      .filter((name) => name.startsWith(`berth-${instance}-${TRIAL}`))
      .map((name) => join(netnsDir, name));
    if (pins.length === 0) return;
    try {
      const entries = (await cache.all()).filter(({ netns }) => pins.includes(netns));
      for (const entry of entries) await this.#endTrial(entry);
      for (const pin of pins) await namespaces.remove(pin);
      log.info('took down trials that were cut off', { namespaces: pins });
    } catch (error) {
      log.warn('failed to take down trials that were cut off', { namespaces: pins, error: messageOf(error) });
    }
  }

  async #endTrial(entry: CachedAttachment): Promise<void> {
    const { chain, delTimeoutMs, log } = this.#options;
    using deadline = deadlineSignal('the CNI chain', delTimeoutMs, this.#stopping.signal);
    try {
      const network = await parseNetworkList(entry.config, { source: '' });
      const del = { signal: deadline.signal, timeoutMs: delTimeoutMs };
      const { failures } = await chain.del({ ...entry, network }, del);
      for (const { error } of failures) log.warn('failed to take down a trial', { ...keyOf(entry), error });
    } catch (error) {
      log.warn('failed to take down a trial', { ...keyOf(entry), error: messageOf(error) });
    }
  }

  async #try(attachment: Attachment, signal: AbortSignal): Promise<NetworkTrial> {
    const { chain, withheld, delTimeoutMs } = this.#options;
    const steps: Step[] = [];
    const options = { signal, onStep: (step: Step) => void steps.push(step) };
    const errors: string[] = [];
    let result: Result | undefined;
    try {
      const hints = { withheld: withheld(attachment.network) };
      result = await chain.add(attachment, { ...options, hints });
      if (isAtLeast(attachment.network.cniVersion, '0.4.0'))
        await chain.check(attachment, { ...options, result });
    } catch (error) {
      errors.push(messageOf(error));
    }
    // Also for whoever has gone away meanwhile: nobody else would give the address back.
    using deadline = deadlineSignal('the CNI chain', delTimeoutMs);
    const del = { ...options, result, signal: deadline.signal, timeoutMs: delTimeoutMs };
    const { failures } = await chain.del(attachment, del);
    errors.push(...failures.map(({ type, error }) => `plugin ${type}: ${error}`));
    const [error] = errors;
    const addresses = result?.ips.map(({ address }) => address) ?? [];
    return { network: attachment.network.name, steps, addresses, ...(error === undefined ? {} : { error }) };
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Nothing was ever made there.
    return [];
  }
}

function keyOf({ network, containerId, ifName }: AttachmentKey): AttachmentKey {
  return { network, containerId, ifName };
}

function nameOf({ network, containerId, ifName }: AttachmentKey): string {
  return `${network} ${containerId} ${ifName}`;
}
