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

/** Something that happened to a task. An exec id of '' means the container's own first process. */
export type TaskEvent =
  | { readonly kind: 'create'; readonly containerId: string; readonly pid: number }
  | { readonly kind: 'start'; readonly containerId: string; readonly pid: number }
  | ({ readonly kind: 'exit' } & Ended)
  | ({ readonly kind: 'delete' } & Ended)
  | { readonly kind: 'oom'; readonly containerId: string }
  | { readonly kind: 'exec-added'; readonly containerId: string; readonly execId: string }
  | {
      readonly kind: 'exec-started';
      readonly containerId: string;
      readonly execId: string;
      readonly pid: number;
    }
  | { readonly kind: 'paused'; readonly containerId: string }
  | { readonly kind: 'resumed'; readonly containerId: string }
  | { readonly kind: 'checkpointed'; readonly containerId: string };

interface Ended {
  readonly containerId: string;
  readonly execId: string;
  readonly pid: number;
  readonly exitStatus: number;
  /** Nanoseconds since the epoch. */
  readonly exitedAt: bigint;
}

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

/** containerd's events about tasks. */
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
    const filters = [allOf(inNamespace, 'topic~="^/tasks/"'), allOf(inNamespace, fieldIs('topic', mark))];
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

/** Reads the events that we know; others are undefined. */
function decoder(api: ContainerdApi): (envelope: Envelope__Output) => TaskEvent | undefined {
  const {
    TaskCreate,
    TaskStart,
    TaskExit,
    TaskDelete,
    TaskOOM,
    TaskExecAdded,
    TaskExecStarted,
    TaskPaused,
    TaskResumed,
    TaskCheckpointed,
  } = api.events;
  const readers: Readonly<Record<string, (bytes: Buffer) => TaskEvent>> = {
    TaskCreate: (bytes) => {
      const { containerId, pid } = TaskCreate.deserialize(bytes);
      return { kind: 'create', containerId, pid };
    },
    TaskStart: (bytes) => ({ kind: 'start', ...TaskStart.deserialize(bytes) }),
    TaskExit: (bytes) => ({ kind: 'exit', ...ended(TaskExit.deserialize(bytes)) }),
    TaskDelete: (bytes) => ({ kind: 'delete', ...ended(TaskDelete.deserialize(bytes)) }),
    TaskOOM: (bytes) => ({ kind: 'oom', ...TaskOOM.deserialize(bytes) }),
    TaskExecAdded: (bytes) => ({ kind: 'exec-added', ...TaskExecAdded.deserialize(bytes) }),
    TaskExecStarted: (bytes) => ({ kind: 'exec-started', ...TaskExecStarted.deserialize(bytes) }),
    TaskPaused: (bytes) => ({ kind: 'paused', ...TaskPaused.deserialize(bytes) }),
    TaskResumed: (bytes) => ({ kind: 'resumed', ...TaskResumed.deserialize(bytes) }),
    TaskCheckpointed: (bytes) => {
      const { containerId } = TaskCheckpointed.deserialize(bytes);
      return { kind: 'checkpointed', containerId };
    },
  };
  return ({ event }) => {
    if (event === null) return undefined;
    return readers[typeName(event).replace(/^containerd\.events\./, '')]?.(event.value);
  };
}

function ended(wire: {
  containerId: string;
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt: { seconds: string; nanos: number } | null;
}): Ended {
  const { containerId, id, pid, exitStatus, exitedAt } = wire;
  return {
    containerId,
    execId: id === containerId ? '' : id,
    pid,
    exitStatus,
    exitedAt: fromTimestamp(exitedAt),
  };
}
