import { messageOf } from '../../lib/errors.ts';
import type { Serve, ThreadPool } from '../../kernel/threads/pool.ts';
import {
  type Invoke,
  type InvokeOptions,
  PluginError,
  type PluginReply,
  type PluginRequest,
} from '../cni/invoke/invoke.ts';
import { maskSecrets } from '../cni/mask.ts';
import { CniCode, type Step, withDetails } from '../cni/types.ts';
import { stringAt } from './config.ts';
import type { Failure } from './failure.ts';
import type { ExecutableJob, ExecutableJobReply, PluginJob, PluginJobReply } from './jobs.ts';

/** The module that a ThreadPool needs to run built-in plugins. */
export const pluginJobsModule = new URL('./jobs.js', import.meta.url);

/** How much of a plugin's stderr is kept, in characters. */
const STDERR_KEPT = 4096;

/** How long an aborted call waits for a plugin that is still at work, in milliseconds. */
const LINGER_MS = 10_000;

/** A call of a built-in plugin that may delegate. */
interface Operation {
  readonly type: string;
  readonly options: InvokeOptions;
}

/**
 * Runs the executables that plugins on worker threads delegate to, each within the deadline and under the eyes of the
 * operation that it belongs to.
 */
export class DelegatedExecutables {
  private readonly executables: Invoke;
  private readonly operations = new Map<number, Operation>();
  private lastNumber = 0;

  constructor(executables: Invoke) {
    this.executables = executables;
  }

  /** What the ThreadPool has to serve. */
  get serve(): Readonly<Record<string, Serve>> {
    return { exec: (job) => this.run(job as ExecutableJob) };
  }

  /** Opens an operation of the plugin of this type; the returned number stands for it until it is closed. */
  open(type: string, options: InvokeOptions): number {
    this.lastNumber += 1;
    this.operations.set(this.lastNumber, { type, options });
    return this.lastNumber;
  }

  close(operation: number): void {
    this.operations.delete(operation);
  }

  private async run({ operation: number, request }: ExecutableJob): Promise<ExecutableJobReply> {
    const operation = this.operations.get(number);
    if (operation === undefined) throw new Error(`operation ${number} has ended`);
    const startedAt = new Date();
    operation.options.onBegin?.({
      plugin: request.type,
      verb: request.verb,
      startedAt: startedAt.toISOString(),
      delegatedBy: operation.type,
    });
    try {
      return await this.invoke(request, operation.options);
    } catch (error) {
      const { provider, stderr } = error instanceof PluginError ? error : { provider: '', stderr: '' };
      const reply = { outcome: { failure: failureOf(error) }, provider, stderr };
      tellAborted(operation, request, startedAt, reply);
      return reply;
    }
  }

  private async invoke(
    request: PluginRequest,
    { signal, onProcess }: InvokeOptions,
  ): Promise<ExecutableJobReply> {
    const options = onProcess === undefined ? { signal } : { signal, onProcess };
    const { output, provider, stderr } = await this.executables.invoke(request, options);
    return { outcome: { output }, provider, stderr };
  }
}

/** What the plugin would tell of it at its end is lost: nobody waits for it any more. */
function tellAborted(
  { type, options: { signal, onStep } }: Operation,
  request: PluginRequest,
  startedAt: Date,
  { provider, stderr, outcome: { failure } }: ExecutableJobReply & { outcome: { failure: Failure } },
): void {
  if (!signal.aborted) return;
  onStep?.(
    masked({
      plugin: request.type,
      verb: request.verb,
      provider,
      delegatedBy: type,
      startedAt: startedAt.toISOString(),
      durationMs: Date.now() - startedAt.getTime(),
      config: request.config,
      error: failure.message,
      code: failure.code,
      ...(stderr === '' ? {} : { stderr }),
    }),
  );
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof PluginError))
    return { code: CniCode.Internal, message: messageOf(error), details: '' };
  return {
    code: error.code === 0 ? CniCode.Internal : error.code,
    message: error.message,
    details: error.details,
  };
}

export interface BuiltinInvokeOptions {
  /** All calls of one network that change something go to one thread, in order; else each call to a thread that is free. */
  readonly byNetwork: boolean;
}

/** Built-in plugins on worker threads. */
export class BuiltinInvoke implements Invoke {
  private readonly pool: ThreadPool;
  private readonly delegated: DelegatedExecutables;
  private readonly byNetwork: boolean;

  /** The pool must load pluginJobsModule and serve `delegated.serve`. */
  constructor(
    pool: ThreadPool,
    delegated: DelegatedExecutables,
    options: BuiltinInvokeOptions = { byNetwork: true },
  ) {
    this.pool = pool;
    this.delegated = delegated;
    this.byNetwork = options.byNetwork;
  }

  /**
   * Throws a PluginError when the plugin failed or the signal ended it, the abort reason when it has not begun. A plugin that is at work
   * cannot be stopped (its executables are killed, its own kernel calls end by themselves): after an abort this waits up to
   * LINGER_MS for its end, so that a DEL that follows finds all that the ADD made. Also past that time a DEL on the same
   * network runs after it, on the same thread, if calls go by network.
   */
  async invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    // The namespace is being made by another thread than will be used.
    if (!this.byNetwork) await options.ready;
    const operation = this.delegated.open(request.type, options);
    const job: PluginJob = { operation, request };
    let hasEnded = false as boolean;
    let ended: () => void;
    const end = new Promise<void>((resolve) => (ended = resolve));
    const onSettled = (): void => {
      this.delegated.close(operation);
      hasEnded = true;
      ended();
    };
    // A STATUS that waits behind a burst of pods would call the network not ready.
    const inOrder = this.byNetwork && request.verb !== 'STATUS';
    const affinity = inOrder ? { affinity: stringAt(request.config, 'name') ?? '' } : {};
    try {
      const reply = (await this.pool.call('plugin', job, {
        ...affinity,
        signal: options.signal,
        onSettled,
      })) as PluginJobReply;
      return finish(reply, options);
    } catch (error) {
      if (error instanceof PluginError) throw error;
      // It was dropped where it waited for its turn.
      if (error === options.signal.reason && hasEnded) throw error;
      if (options.signal.aborted) await Promise.race([end, delay(LINGER_MS)]);
      const message = error === options.signal.reason ? 'ended before it answered' : messageOf(error);
      throw new PluginError(message, { provider: 'built-in', cause: error });
    }
  }
}

function finish(reply: PluginJobReply, { onStep, onRemain }: InvokeOptions): PluginReply {
  const { outcome, stderr: all, steps, remains, ran } = reply;
  for (const step of steps) onStep?.(masked(step));
  for (const remain of remains) onRemain?.(remain);
  const stderr = all.slice(-STDERR_KEPT);
  if ('output' in outcome) return { output: outcome.output, provider: 'built-in', stderr, ran };
  const { code, message, details } = outcome.failure;
  throw new PluginError(withDetails(message, details), { code, details, provider: 'built-in', stderr, ran });
}

function masked(step: Step): Step {
  return { ...step, config: maskSecrets(step.config) };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
