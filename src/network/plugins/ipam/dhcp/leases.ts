/**
 * The keeper of leases, on the daemon's main thread: it answers the plugin, in whatever thread or process that runs, and keeps what it
 * has got until it is asked to give it back.
 */
import { sleep } from '../../../../lib/deadline.ts';
import { messageOf } from '../../../../lib/errors.ts';
import { KeyedLock } from '../../../../lib/keyed-lock.ts';
import type { Logger } from '../../../../lib/log.ts';
import { sinceBootMs } from '../../../../lib/time.ts';
import { CniError } from '../../../cni/types.ts';
import { validAttachments } from '../../attachments.ts';
import { failure, stringAt } from '../../config.ts';
import { toFailure } from '../../failure.ts';
import { acquire } from './acquire.ts';
import type { LeaseAnswer, LeaseCall, LeaseReply } from './call.ts';
import { clientName, clientOptions, routePriority } from './conf.ts';
import type { Clock } from './exchange.ts';
import { Lease, type LeaseDeps, type LeaseEvent } from './lease.ts';
import type { Links } from './links.ts';
import { type LeaseRecord, LeaseRecords } from './records.ts';

export const systemClock: Clock = { now: sinceBootMs, sleep, random: () => Math.random() };

export interface LeasesOptions {
  /** Where they are recorded. */
  readonly directory: string;
  readonly links: Links;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Told of what happens, for metrics. */
  readonly observe?: (event: LeaseEvent) => void;
}

/** How long a server may take to give an address. */
const ACQUIRE_MS = 60_000;
/** Of the time that the caller has left; the rest is for undoing and for the answer. */
const SHARE_OF_DEADLINE = 0.9;

export class Leases {
  readonly #leases = new Map<string, Lease>();
  readonly #locks = new KeyedLock();
  readonly #records: LeaseRecords;
  readonly #deps: LeaseDeps;

  constructor({ directory, links, log, clock = systemClock, observe = () => undefined }: LeasesOptions) {
    const onGone = ({ record }: Lease): void => void this.#leases.delete(record.client);
    this.#records = new LeaseRecords(directory, log, clock);
    this.#deps = { links, log, clock, observe, onGone, records: this.#records };
  }

  /** Goes on with the leases of earlier runs, and gives back those that were asked for and never handed on. */
  load(): void {
    for (const record of this.#records.load()) {
      if (record.granted === undefined) void this.#giveUp(record);
      else this.#keep(record);
    }
  }

  /** Leaves them as they are, once the calls under way have ended. */
  async stop(): Promise<void> {
    await this.#locks.idle();
    await Promise.all([...this.#leases.values()].map((lease) => lease.stop()));
  }

  list(): Lease[] {
    return [...this.#leases.values()];
  }

  /** Answers one call of the plugin. Never throws. */
  async serve(call: LeaseCall, signal: AbortSignal): Promise<LeaseReply> {
    try {
      return await this.#serve(call, signal);
    } catch (error) {
      return { failure: toFailure(error instanceof CniError ? error : failure(messageOf(error))) };
    }
  }

  async #serve(call: LeaseCall, signal: AbortSignal): Promise<LeaseAnswer> {
    switch (call.verb) {
      case 'ADD':
        return this.#locks.with(clientName(call), () => this.#add(call, signal));
      case 'DEL':
        await this.#locks.with(clientName(call), () => this.#release(clientName(call)));
        return {};
      case 'CHECK':
        this.#check(call);
        return {};
      case 'GC':
        return this.#collect(call);
      case 'STATUS':
      case 'VERSION':
        clientOptions(call);
        routePriority(call.config);
        return {};
    }
  }

  /** The lease that it has already, as in the reference plugin, or a new one. */
  async #add(call: LeaseCall, signal: AbortSignal): Promise<LeaseAnswer> {
    const { containerId, ifName, netns, config } = call;
    const client = clientName(call);
    const options = clientOptions(call);
    const priority = routePriority(config);
    signal.throwIfAborted();
    const known = this.#leases.get(client);
    if (known?.record.netns === netns && known.phase !== 'expired') return answerOf(known, priority);
    await this.#release(client);
    const now = this.#deps.clock.now();
    const left = call.deadline === undefined ? ACQUIRE_MS : SHARE_OF_DEADLINE * (call.deadline - Date.now());
    const network = stringAt(config, 'name') ?? '';
    const record = await acquire({ client, network, containerId, ifName, netns, options }, this.#deps, {
      until: now + Math.min(left, ACQUIRE_MS),
      signal,
    });
    this.#deps.log.info('DHCP lease acquired', {
      client,
      address: record.address,
      server: record.server.address,
    });
    this.#deps.observe('acquired');
    return answerOf(this.#keep(record), priority);
  }

  #keep(record: LeaseRecord): Lease {
    const lease = new Lease(record, this.#deps);
    this.#leases.set(record.client, lease);
    lease.keep();
    return lease;
  }

  async #release(client: string): Promise<void> {
    const lease = this.#leases.get(client);
    if (lease === undefined) return;
    this.#leases.delete(client);
    await lease.release();
  }

  /** A server may have granted it before Berth ended. */
  async #giveUp(record: LeaseRecord): Promise<void> {
    try {
      await this.#locks.with(record.client, () => new Lease(record, this.#deps).release());
    } catch (error) {
      this.#deps.log.warn('failed to give a DHCP lease back', {
        client: record.client,
        error: messageOf(error),
      });
    }
  }

  #check(call: LeaseCall): void {
    const client = clientName(call);
    const lease = this.#leases.get(client);
    if (lease === undefined) throw failure(`dhcp: no lease is kept for ${client}`);
    if (lease.phase === 'expired') throw failure(`dhcp: the lease of ${lease.record.address} has expired`);
  }

  /** Gives back the leases of the network's attachments that the runtime does not list, and tells them; a dry run only tells. */
  async #collect({ config, dryRun = false }: LeaseCall): Promise<LeaseAnswer> {
    const valid = validAttachments(config);
    if (valid === undefined) return {};
    const network = stringAt(config, 'name') ?? '';
    const alive = new Set(valid.map(({ containerId, ifName }) => `${containerId}/${network}/${ifName}`));
    const stale = this.list()
      .map(({ record }) => record)
      .filter((record) => record.network === network && !alive.has(record.client));
    for (const { client } of dryRun ? [] : stale) await this.#locks.with(client, () => this.#release(client));
    return { stale: stale.map(({ containerId, ifName, address }) => ({ containerId, ifName, address })) };
  }
}

/** The server knows of no metrics: it is the configuration that has one for all routes. */
function answerOf({ result }: Lease, priority: number): LeaseAnswer {
  if (result === undefined) return {};
  if (priority === 0) return { result };
  return { result: { ...result, routes: result.routes.map((route) => ({ ...route, priority })) } };
}
