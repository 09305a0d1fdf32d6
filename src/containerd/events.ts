import { randomBytes } from 'node:crypto';
import type { Envelope__Output } from '../gen/containerd/services/events/v1/Envelope.ts';
import { sleep } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { ContainerdApi } from './api.ts';
import { type CallOptions, type Connection, KUBERNETES_NAMESPACE } from './connection.ts';
import { allOf, fieldIs } from './filters.ts';
import { fromTimestamp } from './timestamp.ts';
import { typeName } from './typeurl.ts';

const FIRST_PAUSE_MS = 50;
const MOST_PAUSE_MS = 2_000;
/** containerd answers a publication at once; past this the subscription is tried anew. */
const CONFIRM_MS = 5_000;
/** The id of a container's first process is the container's own, of newId(); an exec's is shorter. */
const OF_FIRST_PROCESS = 'event.id~="^[0-9a-f]{64}$"';

/** What happened to a container: its first process has ended, or the kernel has killed one for want of memory. */
export type TaskEvent =
  | {
      readonly kind: 'exit';
      readonly containerId: string;
      readonly pid: number;
      readonly exitStatus: number;
      /** Nanoseconds since the epoch. */
      readonly exitedAt: bigint;
    }
  | { readonly kind: 'oom'; readonly containerId: string };

/**
 * What a subscriber is told. `subscribed`: containerd sends events from here on, and whatever happened before may have been
 * missed, so the time to list all tasks.
 */
export type Notice =
  | { readonly kind: 'subscribed' }
  /** There is no subscription any more, or none could be had yet. */
  | { readonly kind: 'lost' }
  /** `at`: nanoseconds since the epoch. */
  | { readonly kind: 'task'; readonly at: bigint; readonly event: TaskEvent };

/**
 * containerd's events about containers that somebody looks at; the many that each exec brings, which is waited for by itself, stay with
 * containerd.
 */
export class Events {
  readonly #connection: Connection;
  readonly #log: Logger;
  readonly #rpc;
  readonly #decode: (envelope: Envelope__Output) => TaskEvent | undefined;

  constructor(connection: Connection, log: Logger) {
    this.#connection = connection;
    this.#log = log;
    this.#rpc = connection.api.services.events.v1.Events.service;
    this.#decode = decoder(connection.api);
  }

  /** Events until the signal aborts; subscribes again, with back-off, whenever the connection was lost. */
  async *subscribe({ signal }: { signal: AbortSignal }): AsyncGenerator<Notice, void, undefined> {
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        for await (const notice of this.#once(signal)) {
          if (notice.kind === 'subscribed') pause = FIRST_PAUSE_MS;
          yield notice;
        }
      } catch (error) {
        this.#log.debug('subscription to events ended', { error: messageOf(error) });
      }
      yield { kind: 'lost' };
      await sleep(pause, signal);
      pause = Math.min(pause * 2, MOST_PAUSE_MS);
    }
  }

  /**
   * One subscription. containerd does not say when it has begun, so we publish a mark of our own, again and again until it
   * arrives: from then on nothing is missed.
   */
  async *#once(signal: AbortSignal): AsyncGenerator<Notice, void, undefined> {
    const mark = `/berth/${randomBytes(8).toString('hex')}`;
    const inNamespace = fieldIs('namespace', KUBERNETES_NAMESPACE);
    const filters = [
      allOf(inNamespace, fieldIs('topic', '/tasks/exit'), OF_FIRST_PROCESS),
      allOf(inNamespace, fieldIs('topic', '/tasks/oom')),
      allOf(inNamespace, fieldIs('topic', mark)),
    ];
    const ended = new AbortController();
    const end = (): void => ended.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const options = { signal: ended.signal, namespace: KUBERNETES_NAMESPACE };
    const stream = this.#connection.stream(this.#rpc.Subscribe, { filters }, options);
    const arrived = new AbortController();
    const confirmed = this.#publishUntil(mark, arrived.signal, options).catch((error: unknown) =>
      ended.abort(error),
    );
    try {
      for await (const envelope of stream) {
        if (envelope.topic === mark) {
          if (arrived.signal.aborted) continue;
          arrived.abort();
          yield { kind: 'subscribed' };
          continue;
        }
        const event = this.#decode(envelope);
        if (event !== undefined) yield { kind: 'task', at: fromTimestamp(envelope.timestamp), event };
      }
    } finally {
      arrived.abort();
      ended.abort();
      signal.removeEventListener('abort', end);
      await confirmed;
    }
  }

  async #publishUntil(mark: string, arrived: AbortSignal, options: CallOptions): Promise<void> {
    const event = { type_url: 'google.protobuf.Empty', value: Buffer.alloc(0) };
    let pause = 10;
    while (!arrived.aborted) {
      const call = { ...options, timeoutMs: CONFIRM_MS };
      await this.#connection.unary(this.#rpc.Publish, { topic: mark, event }, call);
      await sleep(pause, arrived);
      pause = Math.min(pause * 2, 1_000);
    }
  }
}

/** Reads the events that we ask for; others are undefined. */
function decoder(api: ContainerdApi): (envelope: Envelope__Output) => TaskEvent | undefined {
  const { TaskExit, TaskOOM } = api.events;
  return ({ event }) => {
    if (event === null) return undefined;
    switch (typeName(event)) {
      case 'containerd.events.TaskExit': {
        const { containerId, pid, exitStatus, exitedAt } = TaskExit.deserialize(event.value);
        return { kind: 'exit', containerId, pid, exitStatus, exitedAt: fromTimestamp(exitedAt) };
      }
      case 'containerd.events.TaskOOM':
        return { kind: 'oom', ...TaskOOM.deserialize(event.value) };
      default:
        return undefined;
    }
  };
}
