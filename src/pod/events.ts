import type { Logger } from '../lib/log.ts';
import { nowNanos } from '../lib/time.ts';
import type { SandboxState } from './sandbox/record.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

export type PodEventType =
  | 'CONTAINER_CREATED_EVENT'
  | 'CONTAINER_STARTED_EVENT'
  | 'CONTAINER_STOPPED_EVENT'
  | 'CONTAINER_DELETED_EVENT';

/** Something that happened to a container or a sandbox; for the CRI a sandbox event bears the sandbox's id as container id. */
export interface PodEvent {
  readonly type: PodEventType;
  readonly containerId: string;
  readonly sandbox: Sandbox;
  /** The sandbox's state at that moment: it may be gone when the event is read. */
  readonly state: SandboxState;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
}

/** How many events a subscriber may be behind. Past that the oldest are dropped: kubelet's relist makes up for them. */
const BACKLOG_MOST = 1_000;
/** How long events wait while nobody listens, as with containerd: a kubelet that lost its connection looks around before it comes back. */
const HELD_MS = 5 * 60 * 1_000;

/** One subscriber's queue. */
class Subscription implements AsyncIterableIterator<PodEvent> {
  #queue: PodEvent[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  dropped = 0;

  push(event: PodEvent): void {
    if (this.#queue.length >= BACKLOG_MOST) {
      this.#queue.shift();
      this.dropped += 1;
    }
    this.#queue.push(event);
    this.#wake?.();
  }

  /** Forgets events that are older than this, in nanoseconds since the epoch; whether any are left. */
  forgetBefore(time: bigint): boolean {
    this.#queue = this.#queue.filter(({ createdAt }) => createdAt >= time);
    return this.#queue.length > 0;
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<PodEvent, undefined>> {
    while (this.#queue.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const event = this.#queue.shift();
    return event === undefined ? { done: true, value: undefined } : { done: false, value: event };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Hands each event to everyone who listens, or else to who does so next. Publishing never waits for a listener. */
export class PodEvents {
  readonly #subscriptions = new Set<Subscription>();
  readonly #log: Logger;
  readonly #heldMs: number;
  /** That of whoever listens next, when nobody does. */
  #next = new Subscription();
  #forgetting: NodeJS.Timeout | undefined;

  constructor(log: Logger, heldMs = HELD_MS) {
    this.#log = log;
    this.#heldMs = heldMs;
  }

  publish(type: PodEventType, sandbox: Sandbox, containerId: string = sandbox.id): void {
    const event = { type, containerId, sandbox, state: sandbox.state, createdAt: nowNanos() };
    for (const subscription of this.#subscriptions) subscription.push(event);
    if (this.#subscriptions.size > 0) return;
    this.#next.push(event);
    this.#forgetting ??= setTimeout(() => this.#forget(), this.#heldMs).unref();
  }

  /** Events of the last minutes that nobody has listened to, and those from now on, until the signal aborts. */
  async *subscribe(signal: AbortSignal): AsyncGenerator<PodEvent, void, undefined> {
    const subscription = this.#takeNext();
    const end = (): void => subscription.end();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    this.#subscriptions.add(subscription);
    try {
      for await (const event of subscription) yield event;
    } finally {
      signal.removeEventListener('abort', end);
      this.#subscriptions.delete(subscription);
      if (subscription.dropped > 0)
        this.#log.warn('event subscriber was too slow', { dropped: subscription.dropped });
    }
  }

  #takeNext(): Subscription {
    this.#forget();
    clearTimeout(this.#forgetting);
    this.#forgetting = undefined;
    const subscription = this.#next;
    this.#next = new Subscription();
    // There was nobody to be too slow.
    subscription.dropped = 0;
    return subscription;
  }

  #forget(): void {
    const isAnyLeft = this.#next.forgetBefore(nowNanos() - BigInt(this.#heldMs) * 1_000_000n);
    this.#forgetting = isAnyLeft ? setTimeout(() => this.#forget(), this.#heldMs).unref() : undefined;
  }
}
