import type { JsonObject } from '../../../lib/json.ts';
import type { BegunStep, Step, Verb } from '../types.ts';

/**
 * What the runtime knows and the protocol cannot say. Only a built-in plugin sees it; an executable gets
 * the protocol and no more.
 */
export interface Hints {
  /** DEL only: the namespace is destroyed right after, so a link inside may be left to it when nothing of it goes to another pod. */
  readonly namespaceEnds?: boolean;
  /**
   * Addresses that pods have, in an ADD after an exhausted range and in GC: all others whose file lost its owner are nobody's.
   */
  readonly living?: readonly string[];
  /** GC only: tell what would be removed, and remove nothing. An executable, which cannot know, is not run. */
  readonly dryRun?: boolean;
  /**
   * GC and STATUS only: the list is of a version older than these verbs. Built-in plugins are asked all the same, in a version that has them;
   * an executable is not run.
   */
  readonly builtinsOnly?: boolean;
  /** Where the runtime keeps libcni's result cache; `/var/lib/cni` when absent. */
  readonly cacheDir?: string;
  /** When the caller gives up, in milliseconds since the epoch. */
  readonly deadline?: number;
  /** Not to be handed out: addresses and host ports of unpaid debts, and addresses of pods that the IPAM's files may not tell of. */
  readonly withheld?: {
    readonly addresses: readonly string[];
    /** `tcp/8080`, or `tcp/127.0.0.1/8080` when bound to one host address. */
    readonly hostPorts: readonly string[];
  };
}

/** What a GC finds that an attachment left. */
export interface Remain {
  /** `address 10.88.0.7`, `host ports in nftables`. */
  readonly what: string;
  /** '' where nothing names it. */
  readonly containerId: string;
  /** '' where nothing names it. */
  readonly ifName: string;
  /** Stale: its attachment is gone, so GC removes it. Foreign: it may be another network's or another runtime's, and stays. */
  readonly verdict: 'stale' | 'foreign';
}

/** One call of one plugin, before it is known whether a built-in or an executable serves it. */
export interface PluginRequest {
  readonly verb: Verb;
  readonly type: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS as the protocol writes them: `K=V;K=V`. */
  readonly args: string;
  /** CNI_PATH: directories in order. */
  readonly path: readonly string[];
  /** What goes to stdin, complete: name, cniVersion, prevResult, runtimeConfig included. */
  readonly config: JsonObject;
  readonly hints?: Hints;
}

export interface PluginReply {
  /** What the plugin printed, parsed; undefined when it printed nothing. */
  readonly output: unknown;
  /** `built-in`, or the path of the executable that ran. */
  readonly provider: string;
  /** The last 4 KiB of stderr. */
  readonly stderr: string;
  /** When the plugin itself ran, if it had to wait for its turn first. */
  readonly ran?: Ran;
}

export interface Ran {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
}

export interface InvokeOptions {
  /**
   * An executable waits for this: the namespace is being made. A built-in need not: its network's thread is making it, and does
   * one thing after the other.
   */
  readonly ready?: Promise<unknown>;
  /** Ends the call; an executable's whole process group is killed. */
  readonly signal: AbortSignal;
  /** Told of each plugin that is asked now, and of each executable that it delegates to. */
  readonly onBegin?: (step: BegunStep) => void;
  /** Told of steps that happen inside the call: delegated plugins. The call itself is reported by the chain. */
  readonly onStep?: (step: Step) => void;
  /** Told of what a GC found: by built-in plugins. */
  readonly onRemain?: (remain: Remain) => void;
  /** Told when an executable starts, with its pid and its start time in clock ticks; undefined when it ended. */
  readonly onProcess?: (process: { pid: number; startTime: string } | undefined) => void;
}

/**
 * How a plugin is reached. The chain cannot tell a built-in from an executable.
 *
 * invoke throws a PluginError when the plugin reports an error or misbehaves. When the signal ended it, it throws
 * the abort reason, or a PluginError with the reason as cause that carries provider and stderr.
 */
export interface Invoke {
  invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply>;
}

/** A plugin's failure, by whatever way it failed. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
  /** CNI code; 0 when the plugin gave none (killed, garbage, timeout, not found). */
  readonly code: number;
  readonly details: string;
  readonly provider: string;
  readonly stderr: string;
  readonly ran: Ran | undefined;

  constructor(
    message: string,
    facts: {
      code?: number;
      details?: string;
      provider?: string;
      stderr?: string;
      ran?: Ran;
      cause?: unknown;
    } = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code ?? 0;
    this.details = facts.details ?? '';
    this.provider = facts.provider ?? '';
    this.stderr = facts.stderr ?? '';
    this.ran = facts.ran;
  }
}
