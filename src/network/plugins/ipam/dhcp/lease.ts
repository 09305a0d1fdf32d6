/**
 * One lease: how it is kept and given back.
 *
 *                      bound ─T1─▶ renewing ─T2─▶ rebinding ─end─▶ expired ─▶ (address off the interface)
 *                        ▲            │ACK           │ACK             │the same address again
 *                        └────────────┴──────────────┴────────────────┘
 *
 * A NAK ends the lease at once, in whatever phase (RFC 2131, 4.4, figure 5: "DHCPNAK / Halt network"). A pod's address never changes: the
 * cluster knows the pod by it. Who refuses it or offers another one is asked for the same one again and again.
 */
import { messageOf } from '../../../../lib/errors.ts';
import type { Logger } from '../../../../lib/log.ts';
import type { Result } from '../../../cni/types.ts';
import type { AcquireDeps } from './acquire.ts';
import {
  discover,
  extend,
  type Granted,
  type Patience,
  type Refused,
  release,
  select,
  type Talk,
} from './exchange.ts';
import { type LeaseRecord, optionsOf } from './records.ts';
import { backoff, endedAt, nextRequestAt, type Phase, phaseAt, phaseEnd, timesOf } from './terms.ts';

/** What happens to leases, for metrics. */
export const leaseEvents = [
  'acquired',
  'renewed',
  'unanswered',
  'refused',
  'other_address',
  'expired',
  'regained',
  'released',
  'gone',
] as const;
export type LeaseEvent = (typeof leaseEvents)[number];

export interface LeaseDeps extends AcquireDeps {
  readonly observe: (event: LeaseEvent) => void;
  /** Told when a lease has ended by itself. */
  readonly onGone: (lease: Lease) => void;
}

/** How long an answer to one renewal is waited for. */
const ANSWER_MS = 4_000;
/** The machine sleeps, pods go without a DEL, and disks take writes again, while one sleeps. */
const SLEEP_MOST_MS = 60_000;

export class Lease {
  #record: LeaseRecord;
  /** The record on disk is this one. */
  #isRecorded = true;
  readonly #deps: LeaseDeps;
  readonly #log: Logger;
  readonly #ending = new AbortController();
  #kept: Promise<void> = Promise.resolve();
  /** A server gave another address instead: ours is asked for from the beginning. */
  #isReplaced = false;
  #isGone = false;

  constructor(record: LeaseRecord, deps: LeaseDeps) {
    this.#record = record;
    this.#deps = deps;
    this.#log = deps.log.child({ client: record.client, address: record.address });
  }

  get record(): LeaseRecord {
    return this.#record;
  }

  /** What ADD answers; undefined when nothing was granted yet. */
  get result(): Result | undefined {
    return this.#record.granted?.result;
  }

  get phase(): Phase {
    const { granted } = this.#record;
    return granted === undefined ? 'expired' : phaseAt(granted, this.#deps.clock.now());
  }

  /** Keeps it from now on, until stop() or release(). */
  keep(): void {
    this.#kept = this.#keep(this.#ending.signal).catch((error: unknown) =>
      this.#log.error('DHCP lease is kept no more', { error: messageOf(error) }),
    );
  }

  /** Leaves it as it is, for a later run. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#kept;
    await this.#save();
  }

  /** Gives it back, as far as its interface is still there to say so. It is forgotten in any case. */
  async release(): Promise<void> {
    await this.stop();
    if (this.#isGone) return;
    const { server, address, granted } = this.#record;
    // What has run out may be another machine's by now.
    const isOurs = granted === undefined || this.phase !== 'expired';
    const isSaid = isOurs && (await this.#say((talk) => release(talk, server, address)));
    await this.#forget();
    if (isSaid) this.#tell('released', 'DHCP lease released');
    else this.#tell('gone', 'DHCP lease dropped without DHCPRELEASE: it runs out by itself', this.#end());
  }

  /** False when there was no way to say it. */
  async #say(message: (talk: Talk) => void): Promise<boolean> {
    try {
      const said = await this.#over((talk) => {
        message(talk);
        return true;
      });
      return said === true;
    } catch (error) {
      this.#log.warn('failed to send DHCPRELEASE', { error: messageOf(error) });
      return false;
    }
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let pauses = backoff(clock, false);
    let at = this.phase === 'bound' ? (this.#record.granted?.renewAt ?? 0) : clock.now();
    while (await this.#until(at, signal)) {
      const was = this.#record;
      const asked = this.phase;
      try {
        if (!(await this.#ask(signal))) return;
      } catch (error) {
        if (signal.aborted) return;
        this.#log.warn('failed to ask for a DHCP lease', { error: messageOf(error) });
      }
      if (this.#record.granted !== was.granted) pauses = backoff(clock, false);
      at = this.#nextAt(asked, pauses);
    }
  }

  /** Waits for that time, or until its namespace is gone. False when it was ended before. */
  async #until(at: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    const waits = (): boolean => !signal.aborted && this.#hasPlace();
    for (let left = at - clock.now(); left > 0 && waits(); left = at - clock.now()) {
      await clock.sleep(Math.min(left, SLEEP_MOST_MS), signal);
      await this.#save();
    }
    return !signal.aborted;
  }

  #hasPlace(): boolean {
    return this.#deps.links.hasPlace(this.#record.netns);
  }

  /** When to ask again after an attempt in that phase. */
  #nextAt(asked: Phase, pauses: Iterator<number, never>): number {
    const { granted } = this.#record;
    const now = this.#deps.clock.now();
    const { phase } = this;
    if (granted === undefined || (phase !== asked && phase !== 'bound')) return now;
    if (!this.#isReplaced && phase !== 'expired') return nextRequestAt(granted, now);
    const at = now + pauses.next().value;
    return now < granted.expireAt ? Math.min(at, granted.expireAt) : at;
  }

  /** One attempt at more time, as the phase wants it. False when there is nobody left who needs the address. */
  async #ask(signal: AbortSignal): Promise<boolean> {
    const { phase } = this;
    if (phase === 'expired' && this.#hasPlace()) await this.#withdraw();
    const asked = await this.#over((talk) => this.#askOver(talk, phase, signal));
    if (asked !== undefined) return true;
    this.#isGone = true;
    await this.#forget();
    this.#tell('gone', 'DHCP lease dropped: its interface is gone, and it runs out by itself', this.#end());
    this.#deps.onGone(this);
    return false;
  }

  async #askOver(talk: Talk, phase: Phase, signal: AbortSignal): Promise<true> {
    const { server, address, granted } = this.#record;
    const until = granted === undefined ? Number.POSITIVE_INFINITY : phaseEnd(granted, phase);
    const patience = { delays: [ANSWER_MS], until, signal };
    const answer =
      this.#isReplaced || phase === 'expired'
        ? await this.#askAnew(talk, patience)
        : await extend(talk, phase === 'renewing' ? server : undefined, address, patience);
    await this.#take(answer, phase);
    return true;
  }

  /** From the beginning, but for the same address. */
  async #askAnew(talk: Talk, patience: Patience): Promise<Granted | Refused | undefined> {
    const { address } = this.#record;
    const others = new Set<string>();
    const offer = await discover(talk, address, patience, (offered) => {
      if (offered !== address) others.add(offered);
      return offered === address;
    });
    if (others.size > 0) {
      this.#tell('other_address', 'a DHCP server offers another address, which a pod cannot take', {
        offered: [...others].slice(0, 10),
      });
    }
    return offer === undefined ? undefined : select(talk, offer, patience);
  }

  async #take(answer: Granted | Refused | undefined, phase: Phase): Promise<void> {
    const { address, granted } = this.#record;
    if (answer === undefined || granted === undefined) {
      this.#tell('unanswered', 'no DHCP server gave the lease more time', { phase, ...this.#end() });
    } else if (answer.kind === 'nak') {
      const ended = { ...granted, ...endedAt(this.#deps.clock.now()) };
      if (phase !== 'expired') await this.#put({ ...this.#record, granted: ended });
      this.#tell('refused', 'a DHCP server refused the address', { reason: answer.reason, ...this.#end() });
    } else if (answer.address !== address) {
      this.#isReplaced = true;
      const fields = { offered: answer.address, ...this.#end() };
      this.#tell('other_address', 'a DHCP server gives another address, which a pod cannot take', fields);
    } else {
      await this.#extended(answer);
    }
  }

  async #extended({ server, options, sentAt }: Granted): Promise<void> {
    const { withdrawn, ...rest } = this.#record;
    if (rest.granted === undefined) return;
    this.#isReplaced = false;
    const granted = { ...rest.granted, ...timesOf(options, sentAt) };
    if (withdrawn !== undefined)
      await this.#deps.links.restore({ ...this.#interfaceAddress(), routes: withdrawn });
    await this.#put({ ...rest, server, granted });
    if (withdrawn === undefined) this.#tell('renewed', 'DHCP lease renewed', this.#end());
    else this.#tell('regained', 'DHCP lease regained: the address is on the interface again', this.#end());
  }

  /**
   * Nobody may use an address beyond its lease: the server may have given it to another machine. Its routes are recorded before they go
   * with it, and are not looked for again: whoever ends in between finds them in the record, and the address perhaps gone.
   */
  async #withdraw(): Promise<void> {
    const { links } = this.#deps;
    const place = this.#interfaceAddress();
    const isFirst = this.#record.withdrawn === undefined;
    if (isFirst) await this.#put({ ...this.#record, withdrawn: await links.routes(place) });
    const isTaken = await links.withdraw(place);
    if (isFirst || isTaken)
      this.#tell('expired', 'DHCP lease expired: the address was taken off the interface', this.#end());
  }

  /** The address as the interface has it, and where that is. */
  #interfaceAddress(): { netns: string; ifName: string; address: string } {
    const { netns, ifName, address, granted } = this.#record;
    return { netns, ifName, address: granted?.result.ips[0]?.address ?? `${address}/32` };
  }

  /** What a server has said counts from now on, also when the disk takes no writes. */
  async #put(record: LeaseRecord): Promise<void> {
    this.#record = record;
    this.#isRecorded = false;
    await this.#save();
  }

  /** What cannot be recorded is tried again. */
  async #save(): Promise<void> {
    if (this.#isRecorded) return;
    try {
      await this.#deps.records.put(this.#record);
      this.#isRecorded = true;
    } catch (error) {
      this.#log.warn('failed to record a DHCP lease', { error: messageOf(error), ...this.#end() });
    }
  }

  async #forget(): Promise<void> {
    await this.#deps.records.drop(this.#record.client);
    this.#isRecorded = true;
  }

  /** Does something over the interface; undefined when that is gone. */
  async #over<T>(action: (talk: Talk) => T | Promise<T>): Promise<T | undefined> {
    const { clock, links } = this.#deps;
    const { netns, ifName, mac, options } = this.#record;
    const wire = await links.open({ netns, ifName, up: false });
    if (wire === undefined) return undefined;
    try {
      return await action({ wire, clock, client: { mac, options: optionsOf(options) } });
    } finally {
      wire.close();
    }
  }

  #end(): { expires: string } {
    const { clock } = this.#deps;
    const at = this.#record.granted?.expireAt ?? clock.now();
    if (at === Number.MAX_SAFE_INTEGER) return { expires: 'never' };
    return { expires: new Date(Date.now() + at - clock.now()).toISOString() };
  }

  #tell(event: LeaseEvent, message: string, fields: Record<string, unknown> = {}): void {
    const isGood = ['acquired', 'renewed', 'regained', 'released'].includes(event);
    const all = { server: this.#record.server.address, ...fields };
    if (isGood) this.#log.info(message, all);
    else if (event === 'expired') this.#log.error(message, all);
    else this.#log.warn(message, all);
    this.#deps.observe(event);
  }
}
