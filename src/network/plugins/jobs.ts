/** The jobs of the worker threads that run built-in plugins. */
import { statSync } from 'node:fs';
import { type MainCaller, ThreadPoisonedError } from '../../kernel/threads/job.ts';
import type { JsonObject } from '../../lib/json.ts';
import type { PluginRequest, Ran, Remain } from '../cni/invoke/invoke.ts';
import { CniError, type Step } from '../cni/types.ts';
import { createContext, type ExecutableReply } from './context.ts';
import { type DescribeJob, describeNetwork, type NetworkFacts } from './describe.ts';
import { type Failure, fromFailure, toFailure } from './failure.ts';
import type { LeaseReply } from './ipam/dhcp/call.ts';
import { requireNetns } from './netns.ts';
import { createRegistry } from './registry.ts';
import { runPlugin } from './skeleton.ts';

/** What goes to a worker: the number of the operation, by which the main thread knows its deadline, and the call. */
export interface PluginJob {
  readonly operation: number;
  readonly request: PluginRequest;
}

export interface PluginJobReply {
  readonly outcome: { readonly output: JsonObject | undefined } | { readonly failure: Failure };
  readonly stderr: string;
  /** Delegated plugins, in order. */
  readonly steps: readonly Step[];
  /** What a GC found: REMAINS_MOST at most. */
  readonly remains: readonly Remain[];
  readonly ran: Ran;
}

const REMAINS_MOST = 1_000;

/** What a worker asks the main thread: to run an executable within the operation. */
export interface ExecutableJob {
  readonly operation: number;
  readonly request: PluginRequest;
}

export interface ExecutableJobReply {
  readonly outcome: { readonly output: unknown } | { readonly failure: Failure };
  readonly provider: string;
  readonly stderr: string;
}

const registry = createRegistry();
const home = networkNamespace();

export const jobs = {
  plugin: (arg: unknown, main: MainCaller): PluginJobReply => {
    try {
      return callPlugin(arg as PluginJob, main);
    } finally {
      refuseToGoOnAway();
    }
  },
  describe: (arg: unknown): NetworkFacts => describeNetwork(registry, arg as DescribeJob),
};

function networkNamespace(): number {
  return statSync('/proc/thread-self/ns/net').ino;
}

/** A plugin that could not come back from a container's namespace must not be followed by another one on this thread. */
function refuseToGoOnAway(): void {
  if (networkNamespace() !== home)
    throw new ThreadPoisonedError('the plugin left the thread in a foreign network namespace');
}

function callPlugin({ operation, request }: PluginJob, main: MainCaller): PluginJobReply {
  const plugin = registry.get(request.type);
  if (plugin === undefined) throw new Error(`no built-in plugin of type "${request.type}"`);
  const startedAt = Date.now();
  const start = performance.now();
  const steps: Step[] = [];
  const lines: string[] = [];
  const remains: Remain[] = [];
  const context = createContext(plugin.type, {
    registry,
    hints: request.hints ?? {},
    runExecutable: (delegated) => runOnMain(main, { operation, request: delegated }),
    askLeaseKeeper: (call) => main.call('lease', call) as LeaseReply,
    log: (line) => void lines.push(line),
    onStep: (step) => void steps.push(step),
    onRemain: (remain) => {
      if (remains.length < REMAINS_MOST) remains.push(remain);
    },
  });
  const reply = (outcome: PluginJobReply['outcome']): PluginJobReply => ({
    outcome,
    stderr: lines.join('\n'),
    steps,
    remains,
    ran: { startedAt, durationMs: performance.now() - start },
  });
  try {
    // It is made by the job before this one, on this thread: when that failed nothing may begin.
    if (request.verb === 'ADD') requireNetns(request.netns);
    return reply({ output: runPlugin(plugin, environmentOf(request), () => request.config, context) });
  } catch (error) {
    if (error instanceof CniError) return reply({ failure: toFailure(error) });
    throw error;
  }
}

function runOnMain(main: MainCaller, job: ExecutableJob): ExecutableReply {
  const { outcome, provider, stderr } = main.call('exec', job) as ExecutableJobReply;
  if ('output' in outcome) return { outcome, provider, stderr };
  return { outcome: { error: fromFailure(outcome.failure) }, provider, stderr };
}

function environmentOf(request: PluginRequest): Record<string, string> {
  return {
    CNI_COMMAND: request.verb,
    CNI_CONTAINERID: request.containerId,
    CNI_NETNS: request.netns,
    CNI_IFNAME: request.ifName,
    CNI_ARGS: request.args,
    CNI_PATH: request.path.join(':'),
  };
}
