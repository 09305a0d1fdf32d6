/** How a plugin calls another one: built in when a built-in understands the configuration, else its executable. */
import type { Hints, PluginRequest, Remain } from '../cni/invoke/invoke.ts';
import { CniError, type Result, type Step, type Verb } from '../cni/types.ts';
import { toResult } from '../cni/versions/convert.ts';
import { failure, stringAt } from './config.ts';
import { fromFailure } from './failure.ts';
import type { LeaseCall, LeaseReply } from './ipam/dhcp/call.ts';
import type { Plugin, PluginArgs, PluginContext } from './plugin.ts';
import type { Registry } from './registry.ts';
import { asCniError, callVerb } from './skeleton.ts';

/** How an executable ended. */
export interface ExecutableReply {
  /** Its parsed stdout, or the error that it reported or that was met in running it. */
  readonly outcome: { readonly output: unknown } | { readonly error: CniError };
  /** Path; '' when no executable was found. */
  readonly provider: string;
  readonly stderr: string;
}

/** The place that a plugin runs in: a worker thread of the daemon, or a process of its own. */
export interface Place {
  readonly registry: Registry;
  readonly hints: Hints;
  /** Runs an executable to its end. */
  runExecutable(request: PluginRequest): ExecutableReply;
  /** Asks the keeper of DHCP leases, the daemon that this runs in or one that it can reach; absent when there is none. */
  askLeaseKeeper?(call: LeaseCall): LeaseReply;
  /** A line for stderr. */
  log(line: string): void;
  /** Told of each delegated plugin once it has ended. */
  onStep(step: Step): void;
  /** Told of what a GC finds. */
  onRemain(remain: Remain): void;
}

/** The context of a call of the plugin of type `caller`. */
export function createContext(caller: string, place: Place): PluginContext {
  return {
    hints: place.hints,
    askLeaseKeeper: (verb, { containerId, netns, ifName, args, config }) => {
      const { deadline, dryRun } = place.hints;
      const call = { verb, containerId, netns, ifName, args, config, deadline, dryRun };
      const reply = place.askLeaseKeeper?.(call);
      if (reply === undefined) throw failure('nobody here keeps DHCP leases');
      if ('failure' in reply) throw fromFailure(reply.failure);
      return reply;
    },
    log: (line) => place.log(line),
    collect: (remains, remove) => {
      const isDry = place.hints.dryRun === true;
      if (remains.length > 0 && !isDry) remove();
      for (const remain of remains) {
        if (!isDry) place.log(`removed ${remainText(remain)}: it is not among the valid attachments`);
        place.onRemain({ ...remain, verdict: 'stale' });
      }
    },
    leave: (remain) => {
      place.log(`left ${remainText(remain)}: it may be another network's`);
      place.onRemain({ ...remain, verdict: 'foreign' });
    },
    delegate: (type, verb, args) => {
      const startedAt = new Date();
      const { provider, stderr, outcome } = callDelegate(place, type, verb, args);
      place.onStep({
        plugin: type,
        verb,
        provider,
        delegatedBy: caller,
        startedAt: startedAt.toISOString(),
        durationMs: Date.now() - startedAt.getTime(),
        config: args.config,
        ...(stderr === '' ? {} : { stderr }),
        ...('error' in outcome ? { error: outcome.error.message, code: outcome.error.code } : {}),
      });
      if ('error' in outcome) throw outcome.error;
      return outcome.result;
    },
  };
}

function remainText({ what, containerId, ifName }: Omit<Remain, 'verdict'>): string {
  const owner = [containerId, ifName].filter((text) => text !== '').join(' ');
  return owner === '' ? what : `${what} of ${owner}`;
}

interface DelegateReply {
  readonly outcome: { readonly result: Result | undefined } | { readonly error: CniError };
  readonly provider: string;
  readonly stderr: string;
}

function callDelegate(place: Place, type: string, verb: Verb, args: PluginArgs): DelegateReply {
  const plugin = place.registry.get(type);
  const unknown = plugin?.unknownKey(args.config);
  if (plugin !== undefined && unknown === undefined) return callBuiltin(place, plugin, verb, args);
  const { outcome, provider, stderr } = place.runExecutable({ verb, type, hints: place.hints, ...args });
  if ('output' in outcome) {
    return { outcome: attempt(() => resultOf(verb, outcome.output, args)), provider, stderr };
  }
  const { code, message, details } = outcome.error;
  const text = unknown !== undefined && provider === '' ? passedOver(type, unknown, message) : message;
  return { outcome: { error: new CniError(code, text, details) }, provider, stderr };
}

function callBuiltin(place: Place, plugin: Plugin, verb: Verb, args: PluginArgs): DelegateReply {
  const context = createContext(plugin.type, place);
  return {
    outcome: attempt(() => (verb === 'VERSION' ? undefined : callVerb(plugin, verb, args, context))),
    provider: 'built-in',
    stderr: '',
  };
}

function attempt(run: () => Result | undefined): DelegateReply['outcome'] {
  try {
    return { result: asCniError(run) };
  } catch (error) {
    if (error instanceof CniError) return { error };
    throw error;
  }
}

function resultOf(verb: Verb, output: unknown, args: PluginArgs): Result | undefined {
  return verb === 'ADD' ? toResult(output, stringAt(args.config, 'cniVersion') ?? '') : undefined;
}

/** Why neither the built-in plugin of that name nor its executable ran. */
export function passedOver(type: string, unknownKey: string, cause: string): string {
  return `built-in plugin "${type}" does not understand key "${unknownKey}", and its executable is missing: ${cause}`;
}
