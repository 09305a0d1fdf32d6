/**
 * A pod's networks: which attachments it gets, making them, taking them down. What a DEL leaves unpaid becomes a debt here, so
 * that nobody above has to wait for a broken plugin.
 */
import type { CniConfig } from '../config/schema.ts';
import { deadlineSignal, raceSignal } from '../lib/deadline.ts';
import { BerthError, codeOf, messageOf } from '../lib/errors.ts';
import type { JsonObject } from '../lib/json.ts';
import { type AttachmentRecord, attachmentOf } from './attachment.ts';
import { capabilityArgs, podArgs, type PodCapabilities, type PodIdentity } from './cni/args.ts';
import { type AddOptions, type Chain, type DelOutcome, FailedPlugin } from './cni/chain.ts';
import { isExhausted } from './cni/exhausted.ts';
import type { Hints } from './cni/invoke/invoke.ts';
import type { Attachment, BegunStep, NetworkList, Result, Step } from './cni/types.ts';
import type { Debts } from './debts.ts';
import { type FailedAdd, failedAdd, NEVER_BEGUN, owes } from './failed-add.ts';
import type { Networks } from './networks.ts';
import { choosePrimaryIp, type PrimaryIp } from './primary-ip.ts';

/** How much of the caller's remaining time a chain may take: the rest is for undoing and for the answer. */
const SHARE_OF_DEADLINE = 0.8;
/** gRPC trailers are small: an error text must stay under 4 KiB with whatever is put in front of it. */
const ERROR_MAX = 3_500;

export interface Observer {
  /** Each plugin asked, as it is asked. */
  readonly onBegin?: (step: BegunStep) => void;
  /** Each plugin asked, as it is answered. */
  readonly onStep: (step: Step) => void;
  /** An executable that runs now; undefined when it has ended. */
  readonly onProcess: (process: { pid: number; startTime: string } | undefined) => void;
  /**
   * What attach has been given so far, as each plugin answers: a result for each attachment, the last of which may be that of the first plugins
   * of one that is being made. With these a DEL finds their work, should the rest fail.
   */
  readonly onResults?: (results: readonly Result[]) => void;
}

/** What every operation on a sandbox's attachments needs. */
export interface Target {
  readonly sandboxId: string;
  /** `namespace/name`. */
  readonly pod: string;
  /** Path of the network namespace; '' when it is gone. */
  readonly netns: string;
  readonly attachments: readonly AttachmentRecord[];
}

export interface PodNetworkOptions {
  readonly chain: Chain;
  readonly debts: Debts;
  readonly networks: Networks;
  readonly settings: CniConfig;
  /** Told of every step, of whatever sandbox: for metrics. */
  readonly count: (step: Step) => void;
  /** Asked to collect garbage when a plugin has no address left; the ADD is tried again then. */
  readonly onExhausted?: () => Promise<void>;
  /** Addresses that pods and debts have: what that second try may take for nobody's is none of these. */
  readonly livingAddresses?: () => readonly string[];
  /** What an ADD on the network must not hand out. */
  readonly withheld: (network: NetworkList) => NonNullable<Hints['withheld']>;
}

export class PodNetwork {
  readonly #chain: Chain;
  readonly #debts: Debts;
  readonly #networks: Networks;
  readonly #settings: CniConfig;
  readonly #count: (step: Step) => void;
  readonly #onExhausted: () => Promise<void>;
  readonly #livingAddresses: (() => readonly string[]) | undefined;
  readonly #withheld: PodNetworkOptions['withheld'];
  /** Known until the pod is undone; a Berth that was killed meanwhile owes every DEL that fails. */
  readonly #failedAdds = new WeakMap<AttachmentRecord, FailedAdd>();

  constructor(options: PodNetworkOptions) {
    const { chain, debts, networks, settings, count, onExhausted, livingAddresses } = options;
    this.#livingAddresses = livingAddresses;
    this.#withheld = options.withheld;
    this.#onExhausted = onExhausted ?? (() => Promise.resolve());
    this.#chain = chain;
    this.#debts = debts;
    this.#networks = networks;
    this.#settings = settings;
    this.#count = count;
  }

  /**
   * The attachments of a new pod: one for each active network, eth0, eth1 and so on. Nothing is done yet. Throws UNAVAILABLE
   * with the verdict on each configuration file when no network is ready.
   */
  plan(runtimeHandler: string, pod: PodIdentity & PodCapabilities): AttachmentRecord[] {
    const args = podArgs(pod);
    const capabilities: JsonObject = capabilityArgs(pod);
    return this.#active(runtimeHandler, pod.sandboxId).map((network, i) => ({
      network,
      ifName: `eth${i}`,
      args,
      capabilityArgs: capabilities,
    }));
  }

  /**
   * ADDs every attachment in order and chooses the primary IP. `cached` settles once no cache file of libcni is being written any more. A failed
   * ADD is not undone here: the caller, who wrote the intent, calls detach. `remainingMs` is what is left of the client's deadline. `ready` resolves when the namespace is there, which a
   * job with the affinity of threadOf(attachments) is making.
   */
  async attach(
    target: Target,
    observer: Observer,
    options: { signal: AbortSignal; remainingMs: number; ready?: Promise<unknown> },
  ): Promise<{ results: Result[]; primaryIp: PrimaryIp; cached: Promise<unknown> }> {
    const budget = cut(this.#settings.addTimeoutSeconds, options.remainingMs);
    using deadline = deadlineSignal('the CNI chain', budget, options.signal);
    const endsAt = Date.now() + budget;
    const writes: Promise<void>[] = [];
    try {
      const results: Result[] = [];
      for (const [i, record] of target.attachments.entries()) {
        await this.#debts.beforeAdd(record.network.name);
        results.push(
          await this.#add(attachmentOf(record, target.sandboxId, target.netns), {
            ...this.#counting(observer),
            signal: deadline.signal,
            ...(options.ready === undefined ? {} : { ready: options.ready }),
            hints: {
              withheld: this.#withheld(record.network),
              cacheDir: this.#settings.cacheDir,
              deadline: endsAt,
            },
            onResult: (result) => observer.onResults?.([...results, result]),
            onCacheWrite: (written) => {
              written.catch(() => undefined);
              writes.push(written);
            },
          }).catch((error: unknown) => {
            this.#noteFailure(target.attachments.slice(i), error);
            throw error;
          }),
        );
      }
      const primaryIp = this.#primary(results, target);
      const cached = Promise.allSettled(writes).then(() => Promise.all(writes));
      // It is looked at later, which may be after it has failed.
      cached.catch(() => undefined);
      return { results, primaryIp, cached };
    } catch (error) {
      // A DEL follows, which drops what is written here.
      await Promise.allSettled(writes);
      throw setupError(target.sandboxId, error);
    }
  }

  /**
   * DELs every attachment, last first, past plugins that fail. Never throws for a plugin: what is not paid becomes a debt, and
   * the caller goes on. `results` are those that attach has told of. With `namespaceEnds` loopback, bridge, ptp and vrf leave links to the
   * namespace's own death.
   */
  async detach(
    target: Target,
    results: readonly Result[],
    observer: Observer,
    options: { namespaceEnds: boolean; remainingMs: number },
  ): Promise<void> {
    const budget = cut(this.#settings.delTimeoutSeconds, options.remainingMs);
    for (const [i, attachment] of [...target.attachments.entries()].reverse()) {
      using deadline = deadlineSignal('the CNI chain', budget);
      // Rules that tell no more than an address are found by what the plugins before the one that failed have returned.
      const result = this.#failedAdds.get(attachment)?.prevResult ?? results[i];
      const whole = attachmentOf(attachment, target.sandboxId, target.netns);
      const outcome = await this.#chain
        .del(whole, {
          ...this.#counting(observer),
          ...(result === undefined ? {} : { result }),
          signal: deadline.signal,
          timeoutMs: budget,
          hints: { namespaceEnds: options.namespaceEnds },
        })
        .catch((error: unknown) => allFailed(attachment, error));
      const failures = outcome.failures.filter((failure) => owes(failure, this.#failedAdds.get(attachment)));
      if (failures.length === 0) continue;
      const owed = failures.map((f) => f.index).sort((a, b) => a - b);
      const errors = failures.map((f) => f.error).join('; ');
      // Of a Berth that was killed nobody may have kept it. What it gave is to be withheld.
      const known = result ?? (await this.#chain.cachedResult(whole).catch(() => undefined));
      const debtor = { sandboxId: target.sandboxId, pod: target.pod, attachment, result: known };
      await this.#debts.owe(debtor, owed, errors);
    }
  }

  /** Owes the DEL of every attachment without trying it first: for many sandboxes at once, after a reboot. */
  async owe(target: Omit<Target, 'netns'>, results: readonly Result[], why: string): Promise<void> {
    for (const [i, attachment] of target.attachments.entries()) {
      const owed = [...attachment.network.plugins.keys()];
      const debtor = { sandboxId: target.sandboxId, pod: target.pod, attachment, result: results[i] };
      await this.#debts.owe(debtor, owed, why);
    }
  }

  /** Of the first of these attachments; those after it were not come to. */
  #noteFailure([failed, ...later]: readonly AttachmentRecord[], error: unknown): void {
    const add = failedAdd(error);
    if (failed === undefined || add === undefined) return;
    this.#failedAdds.set(failed, add);
    for (const attachment of later) this.#failedAdds.set(attachment, NEVER_BEGUN);
  }

  #active(runtimeHandler: string, sandboxId: string): NetworkList[] {
    try {
      return this.#networks.active(runtimeHandler);
    } catch (error) {
      throw setupError(sandboxId, error);
    }
  }

  /** ADD; once more, after a DEL of the first, when a range was exhausted and garbage has been collected. */
  async #add(attachment: Attachment, options: AddOptions): Promise<Result> {
    try {
      return await this.#chain.add(attachment, options);
    } catch (error) {
      if (!(error instanceof FailedPlugin) || !isExhausted(error)) throw error;
      return await this.#addAgain(attachment, error, options).catch((again: unknown) => {
        throw isExhausted(again) ? again : bothOf(error, again);
      });
    }
  }

  async #addAgain(
    attachment: Attachment,
    { prevResult: result }: FailedPlugin,
    options: AddOptions,
  ): Promise<Result> {
    await raceSignal(this.#onExhausted(), options.signal);
    // What it cannot undo is owed when the second ADD fails, too.
    await this.#chain.del(attachment, { ...options, hints: {}, result });
    const living = this.#livingAddresses?.();
    const hints = { ...options.hints, ...(living === undefined ? {} : { living }) };
    return this.#chain.add(attachment, { ...options, hints });
  }

  #counting(observer: Observer): Observer {
    return {
      ...observer,
      onStep: (step) => {
        this.#count(step);
        observer.onStep(step);
      },
    };
  }

  #primary(results: readonly Result[], { sandboxId, attachments }: Target): PrimaryIp {
    const [result] = results;
    const [attachment] = attachments;
    if (result === undefined || attachment === undefined)
      throw new BerthError('UNAVAILABLE', 'no network was attached');
    const primary = choosePrimaryIp(result, attachment.ifName, this.#settings.ipPref);
    if (primary !== undefined) return primary;
    throw new BerthError(
      'UNKNOWN',
      `failed to find network info for sandbox "${sandboxId}": network "${attachment.network.name}" gave ` +
        `${attachment.ifName} no address; its result is ${JSON.stringify(result)}`,
    );
  }
}

function cut(seconds: number, remainingMs: number): number {
  return Math.max(1, Math.min(seconds * 1_000, remainingMs * SHARE_OF_DEADLINE));
}

function allFailed(attachment: AttachmentRecord, error: unknown): DelOutcome {
  const { plugins } = attachment.network;
  const reason = messageOf(error);
  const failure = { error: reason, code: 0, reason, isReleased: false };
  return { failures: plugins.map(({ type }, index) => ({ index, type, ...failure })) };
}

/** The second failure, which may come of the first, with both told; what is to be undone is of the one that came further. */
function bothOf(first: FailedPlugin, second: unknown): FailedPlugin {
  const { cause, meta, index, prevResult } =
    second instanceof FailedPlugin && second.index >= first.index ? second : first;
  const message = `${first.message}; and tried again: ${messageOf(second)}`;
  return new FailedPlugin(new BerthError(codeOf(second), message, { cause, meta }), index, prevResult);
}

function setupError(sandboxId: string, error: unknown): BerthError {
  const text = `failed to setup network for sandbox "${sandboxId}": ${messageOf(error)}`;
  const message = text.length > ERROR_MAX ? `${text.slice(0, ERROR_MAX)}…` : text;
  return new BerthError(codeOf(error), message, { cause: error });
}
