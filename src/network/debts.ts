/**
 * A failed CNI DEL is a debt. What a plugin did not give back is kept here on disk, shown in status and metrics, and tried
 * again with back-off until it is settled or an operator forgives it. StopPodSandbox does not wait for it.
 *
 * A debt holds everything that the DEL needs: the ADD's configuration, arguments and result. Its addresses, and its host ports
 * while a plugin owes that maps them, are handed to no other pod meanwhile (built-in host-local and portmap).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectorySync } from '../lib/directories.ts';
import { removeTemporarySync, setAsideSync, writeFileAtomic } from '../lib/atomic-file.ts';
import { deadlineSignal, sleep } from '../lib/deadline.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import { resolveId } from '../lib/id.ts';
import type { Logger } from '../lib/log.ts';
import { type AttachmentRecord, addressesOf, attachmentOf, hostPortsOf } from './attachment.ts';
import type { Chain, DelOptions, DelOutcome } from './cni/chain.ts';
import type { DelFailure } from './cni/del.ts';
import type { Hints } from './cni/invoke/invoke.ts';
import type { Result } from './cni/types.ts';

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 300_000;
/** Attempts at a time. */
const AT_ONCE = 4;
const FIRST_ATTEMPTS_MS = 10_000;
/** How long an ADD waits for the attempt on its network's debts. */
const ADD_WAITS_MS = 1_000;

/** One unpaid DEL. */
export interface Debt {
  readonly id: string;
  readonly sandboxId: string;
  /** `namespace/name` of the pod. */
  readonly pod: string;
  readonly attachment: AttachmentRecord;
  readonly result: Result | undefined;
  /** Indices into the list of the plugins that still owe their DEL. */
  readonly owed: readonly number[];
  /** Withheld. None once they are free, although a plugin that is not there still owes its own part. */
  readonly addresses: readonly string[];
  readonly createdAt: string;
  readonly attempts: number;
  readonly lastAttemptAt: string;
  readonly lastError: string;
}

export interface DebtsOptions {
  readonly directory: string;
  readonly chain: Chain;
  readonly delTimeoutMs: number;
  /** How long NetworkReady waits for what earlier runs left: debts, and sandboxes that were interrupted. */
  readonly firstAttemptsMs?: number;
  readonly log: Logger;
}

export class Debts {
  readonly #options: DebtsOptions;
  readonly #debts = new Map<string, Debt>();
  readonly #attempts = new Map<string, Promise<void>>();
  readonly #rounds = new Map<string, Promise<void>>();
  readonly #retryAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  /** Whether the background is at work; the timer is set again after it. */
  #isWorking = false;
  #stopping = new AbortController();

  constructor(options: DebtsOptions) {
    this.#options = options;
  }

  /** Reads the debts of earlier runs. A file that cannot be read is set aside by name, so that a person can look. */
  load(): void {
    const { directory, log } = this.#options;
    makeDirectorySync(directory, 0o700);
    removeTemporarySync(directory);
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
      const path = join(directory, file);
      try {
        const debt = JSON.parse(readFileSync(path, 'utf8')) as Debt;
        this.#debts.set(debt.id, debt);
        this.#retryAt.set(debt.id, 0);
      } catch (error) {
        log.error('set an unreadable debt aside', { path: setAsideSync(path), error: messageOf(error) });
      }
    }
  }

  /**
   * Tries every debt once, after what may add to them if that ends in time, and from then on in the background. Waits ten seconds at most, for both: one pod
   * that does not stop must not keep the node's network from being ready.
   */
  async firstAttempts(after: Promise<void> = Promise.resolve()): Promise<void> {
    const waiting = new AbortController();
    const limit = sleep(this.#options.firstAttemptsMs ?? FIRST_ATTEMPTS_MS, waiting.signal);
    await Promise.race([after, limit]);
    await Promise.race([this.#work([...this.#debts.keys()]), limit]);
    waiting.abort();
  }

  /** Ends attempts under way; what they owe stays on disk. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort(new BerthError('CANCELLED', 'Berth is stopping'));
    await Promise.all(this.#attempts.values());
  }

  list(): Debt[] {
    return [...this.#debts.values()];
  }

  /** The debt with this id or unique prefix of one. Throws NOT_FOUND. */
  get(given: string): Debt {
    const debt = this.#debts.get(resolveId(given, this.#debts) ?? '');
    if (debt === undefined) throw new BerthError('NOT_FOUND', `debt "${given}" not found`);
    return debt;
  }

  /** When the next attempt is due, in milliseconds since the epoch. */
  nextAttemptAt(id: string): number {
    return this.#retryAt.get(id) ?? 0;
  }

  /** What plugins must not hand out. */
  withheld(): NonNullable<Hints['withheld']> {
    const debts = this.list();
    return {
      addresses: debts.flatMap((d) => d.addresses),
      hostPorts: debts.flatMap((d) => hostPortsOf(d.attachment, d.owed)),
    };
  }

  /** Takes on what a DEL left unpaid. Durable when it returns. The same attachment owes once, however often it fails. */
  async owe(
    debtor: { sandboxId: string; pod: string; attachment: AttachmentRecord; result: Result | undefined },
    owed: readonly number[],
    error: string,
  ): Promise<void> {
    const now = new Date().toISOString();
    const debt: Debt = {
      ...debtor,
      id: `${debtor.sandboxId.slice(0, 13)}-${debtor.attachment.ifName}`,
      owed,
      addresses: addressesOf(debtor.result),
      createdAt: now,
      attempts: 1,
      lastAttemptAt: now,
      lastError: error,
    };
    await this.#put(debt, FIRST_RETRY_MS);
    this.#options.log.warn('CNI DEL is owed', { debt: debt.id, pod: debt.pod, error });
  }

  /**
   * Tries the debts of one network once, before an ADD on it: an exhausted range may need just these addresses. Waits a
   * second at most, and tries no debt again that was tried within the last second.
   */
  async beforeAdd(network: string): Promise<void> {
    const due = this.list().filter(
      (d) =>
        d.attachment.network.name === network && Date.now() - Date.parse(d.lastAttemptAt) >= ADD_WAITS_MS,
    );
    if (due.length === 0) return;
    const waiting = new AbortController();
    await Promise.race([this.#round(network, due), sleep(ADD_WAITS_MS, waiting.signal)]);
    waiting.abort();
  }

  /** The attempts on one network's debts that ADDs have asked for: one round for all that come while it lasts. */
  #round(network: string, due: readonly Debt[]): Promise<void> {
    const running = this.#rounds.get(network);
    if (running !== undefined) return running;
    const round = this.#attemptAll(due.map(({ id }) => id)).finally(() => this.#rounds.delete(network));
    this.#rounds.set(network, round);
    return round;
  }

  /** Tries one debt now. Throws NOT_FOUND for an unknown id, FAILED_PRECONDITION with the plugins' words when it is still owed. */
  async retry(id: string): Promise<Debt> {
    const debt = this.get(id);
    await this.#attempt(debt.id);
    const still = this.#debts.get(debt.id);
    if (still === undefined) return debt;
    throw new BerthError('FAILED_PRECONDITION', `failed to settle debt "${debt.id}": ${still.lastError}`);
  }

  /**
   * Strikes a debt that will never be paid: the operator has cleaned up by hand. Its addresses are given back to the IPAM plugins. No garbage
   * collection tries its DEL either.
   */
  async forgive(id: string): Promise<Debt> {
    const debt = this.get(id);
    using deadline = deadlineSignal('CNI DEL', this.#options.delTimeoutMs, this.#stopping.signal);
    await this.#options.chain.forget(attachmentOf(debt.attachment, debt.sandboxId, ''), {
      ...delOf(debt),
      signal: deadline.signal,
    });
    await this.#drop(debt.id);
    this.#options.log.warn('debt forgiven', { debt: debt.id, pod: debt.pod });
    return debt;
  }

  /** One attempt at a time for each debt; whoever asks meanwhile waits for that one. */
  #attempt(id: string): Promise<void> {
    const running = this.#attempts.get(id);
    if (running !== undefined) return running;
    const debt = this.#debts.get(id);
    // Paid or forgiven since it was due.
    if (debt === undefined) return Promise.resolve();
    this.#retryAt.set(id, Date.now() + this.#options.delTimeoutMs);
    const attempt = this.#settle(debt)
      .catch((error: unknown) =>
        this.#options.log.error('failed to record a debt', { debt: id, error: messageOf(error) }),
      )
      .finally(() => this.#attempts.delete(id));
    this.#attempts.set(id, attempt);
    return attempt;
  }

  async #settle(debt: Debt): Promise<void> {
    const { id } = debt;
    using deadline = deadlineSignal('CNI DEL', this.#options.delTimeoutMs, this.#stopping.signal);
    const outcome = await this.#options.chain
      .del(attachmentOf(debt.attachment, debt.sandboxId, ''), {
        ...delOf(debt),
        signal: deadline.signal,
        timeoutMs: this.#options.delTimeoutMs,
      })
      .catch((error: unknown): DelOutcome => ({ failures: debt.owed.map((index) => failure(index, error)) }));
    if (!this.#debts.has(id)) return;
    if (outcome.failures.length === 0) {
      await this.#drop(id);
      this.#options.log.info('debt settled', { debt: id, pod: debt.pod, attempts: debt.attempts });
      return;
    }
    const attempts = debt.attempts + 1;
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1));
    const owed = outcome.failures.map((f) => f.index).sort((a, b) => a - b);
    const lastError = outcome.failures.map((f) => f.error).join('; ');
    const addresses = outcome.failures.every((f) => f.isReleased) ? [] : debt.addresses;
    const lastAttemptAt = new Date().toISOString();
    await this.#put({ ...debt, owed, addresses, attempts, lastAttemptAt, lastError }, wait);
    this.#options.log.debug('debt is still owed', { debt: id, attempts, error: lastError });
  }

  async #put(debt: Debt, waitMs: number): Promise<void> {
    await writeFileAtomic(this.#path(debt.id), JSON.stringify(debt), { sync: true });
    this.#debts.set(debt.id, debt);
    this.#retryAt.set(debt.id, Date.now() + waitMs);
    this.#schedule();
  }

  async #drop(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
    this.#debts.delete(id);
    this.#retryAt.delete(id);
  }

  #path(id: string): string {
    return join(this.#options.directory, `${id}.json`);
  }

  /** Sets the timer to the next debt that is due. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isWorking || this.#stopping.signal.aborted || this.#retryAt.size === 0) return;
    const wait = Math.max(0, Math.min(...this.#retryAt.values()) - Date.now());
    this.#timer = setTimeout(() => {
      const due = [...this.#retryAt].filter(([, at]) => at <= Date.now()).map(([id]) => id);
      void this.#work(due);
    }, wait);
    this.#timer.unref();
  }

  /** Tries these in the background, and nothing else meanwhile: each that fails would have others tried beside them. */
  async #work(ids: readonly string[]): Promise<void> {
    clearTimeout(this.#timer);
    this.#isWorking = true;
    await this.#attemptAll(ids);
    this.#isWorking = false;
    this.#schedule();
  }

  /** Few at a time: after a reboot hundreds may be due, and pods that start now need the plugins too. */
  async #attemptAll(ids: readonly string[]): Promise<void> {
    for (let i = 0; i < ids.length && !this.#stopping.signal.aborted; i += AT_ONCE) {
      await Promise.all(ids.slice(i, i + AT_ONCE).map((id) => this.#attempt(id)));
    }
  }
}

function delOf({ owed, result }: Debt): Pick<DelOptions, 'only' | 'result'> {
  return { only: owed, result };
}

function failure(index: number, error: unknown): DelFailure {
  const reason = messageOf(error);
  return { index, type: '', error: reason, code: 0, reason, isReleased: false };
}
