/**
 * Looking after the networks without a pod in hand: collecting what is left of attachments that are gone, and trying whether a pod
 * could be attached.
 */
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { Namespaces } from '../kernel/namespaces.ts';
import { deadlineSignal } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { AttachmentKey, CachedAttachment, ResultCache } from './cni/cache.ts';
import type { Chain } from './cni/chain.ts';
import type { Attachment, NetworkList, Result, Step } from './cni/types.ts';
import { isAtLeast } from './cni/versions/versions.ts';
import type { Networks } from './networks.ts';

/** How often garbage is collected unasked. */
const PERIOD_MS = 60 * 60_000;
const EXHAUSTED_PAUSE_MS = 30_000;
/** How long one network's collection may take, waiting for a moment without ADD and DEL included. */
const COLLECT_MS = 60_000;

export interface MaintenanceOptions {
  readonly chain: Chain;
  readonly cache: ResultCache;
  readonly networks: Networks;
  readonly namespaces: Pick<Namespaces, 'create' | 'remove' | 'isNamespace'>;
  readonly netnsDir: string;
  /** The first 8 characters of the instance's uuid: our namespaces' names begin with it. */
  readonly instance: string;
  /** Attachments of sandboxes that Berth has, and of debts. */
  readonly living: () => readonly AttachmentKey[];
  readonly log: Logger;
}

/** What is known of one network's attachments. */
export interface NetworkGarbage {
  readonly network: string;
  /** Ours, and gone: collected, unless it is a dry run. */
  readonly orphans: readonly AttachmentKey[];
  /** Of somebody else, with no namespace: reported and left alone. */
  readonly foreign: readonly AttachmentKey[];
  /** What failed. */
  readonly error?: string;
}

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
  #exhaustedAt = Number.NEGATIVE_INFINITY;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Collects once an hour from now on. */
  start(): void {
    this.#timer = setInterval(() => void this.collect({ dryRun: false }), PERIOD_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopping.abort();
  }

  /** For an ADD that found no address left. Not more than twice a minute: a range may be full of the living. */
  async onExhausted(): Promise<void> {
    const now = performance.now();
    if (now - this.#exhaustedAt < EXHAUSTED_PAUSE_MS) return;
    this.#exhaustedAt = now;
    await this.collect({ dryRun: false });
  }

  /**
   * Collects the garbage of every network: a full DEL of each attachment that is provably ours and gone, then GC to the plugins.
   * With dryRun it only looks. Never throws for a network: what failed is in its entry.
   */
  async collect({ dryRun }: { readonly dryRun: boolean }): Promise<NetworkGarbage[]> {
    const found: NetworkGarbage[] = [];
    for (const network of this.#options.networks.every()) {
      const garbage = await this.#collectOne(network, dryRun);
      const { orphans, error } = garbage;
      if (orphans.length > 0 && !dryRun) {
        this.#options.log.info('collected attachments that are gone', { network: network.name, orphans });
      }
      if (error !== undefined) {
        this.#options.log.warn('failed to collect garbage', { network: network.name, error });
      }
      found.push(garbage);
    }
    return found;
  }

  async #collectOne(network: NetworkList, dryRun: boolean): Promise<NetworkGarbage> {
    const { cache, chain, living } = this.#options;
    const valid = living();
    const alive = new Set(valid.map(nameOf));
    const isGone = (entry: CachedAttachment): boolean => !alive.has(nameOf(entry)) && this.#isGone(entry);
    const sorted = { orphans: [] as AttachmentKey[], foreign: [] as AttachmentKey[] };
    try {
      const { entries } = await cache.list(network.name);
      for (const entry of entries.filter(isGone)) {
        sorted[this.#isOurs(entry) ? 'orphans' : 'foreign'].push(keyOf(entry));
      }
      if (dryRun) return { network: network.name, ...sorted };
      using deadline = deadlineSignal('garbage collection', COLLECT_MS, this.#stopping.signal);
      const isStale = (entry: CachedAttachment): boolean => this.#isOurs(entry) && isGone(entry);
      await chain.gc(network, { valid, isStale }, { signal: deadline.signal });
      return { network: network.name, ...sorted };
    } catch (error) {
      return { network: network.name, ...sorted, error: messageOf(error) };
    }
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
    const id = `trial-${randomBytes(8).toString('hex')}`;
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

  async #try(attachment: Attachment, signal: AbortSignal): Promise<NetworkTrial> {
    const { chain } = this.#options;
    const steps: Step[] = [];
    const options = { signal, onStep: (step: Step) => void steps.push(step) };
    const errors: string[] = [];
    let result: Result | undefined;
    try {
      result = await chain.add(attachment, options);
      if (isAtLeast(attachment.network.cniVersion, '0.4.0'))
        await chain.check(attachment, { ...options, result });
    } catch (error) {
      errors.push(messageOf(error));
    }
    const { failures } = await chain.del(attachment, { ...options, result });
    errors.push(...failures.map(({ type, error }) => `plugin ${type}: ${error}`));
    const [error] = errors;
    const addresses = result?.ips.map(({ address }) => address) ?? [];
    return { network: attachment.network.name, steps, addresses, ...(error === undefined ? {} : { error }) };
  }
}

function keyOf({ network, containerId, ifName }: AttachmentKey): AttachmentKey {
  return { network, containerId, ifName };
}

function nameOf({ network, containerId, ifName }: AttachmentKey): string {
  return `${network} ${containerId} ${ifName}`;
}
