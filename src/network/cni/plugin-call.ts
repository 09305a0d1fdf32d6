/** One plugin asked to do one thing: the call, its step in the timeline, and its error in words. */
import { BerthError, type ErrorCode, messageOf } from '../../lib/errors.ts';
import type { Hints, Invoke, InvokeOptions, PluginReply, PluginRequest } from './invoke/invoke.ts';
import { PluginError } from './invoke/invoke.ts';
import { maskSecrets } from './mask.ts';
import { CniCode, CniError } from './types.ts';

export interface CallOptions extends InvokeOptions {
  readonly hints?: Hints;
}

/** gRPC carries an error in trailers, which are small. */
const MAX_MESSAGE = 3500;

/**
 * Calls a plugin and lets `read` take its answer apart; a failure of either is a failure of the plugin. The step is
 * reported in any case. Throws a BerthError with libcni's words, `plugin type="x" name="y" failed (add): …`, and
 * the CNI code, if there is one, in meta.cniCode.
 */
export async function callPlugin<T>(
  invoke: Invoke,
  request: PluginRequest,
  network: string,
  options: CallOptions,
  read: (reply: PluginReply) => T,
): Promise<T> {
  const startedAt = new Date();
  const start = performance.now();
  let reply: PluginReply | undefined;
  const report = (thrown?: unknown): void => {
    const error = thrown instanceof PluginError ? thrown : undefined;
    const stderr = reply?.stderr ?? error?.stderr ?? '';
    const code = cniCodeOf(thrown);
    const ran = reply?.ran ?? error?.ran;
    options.onStep?.({
      plugin: request.type,
      verb: request.verb,
      provider: reply?.provider ?? error?.provider ?? '',
      startedAt: (ran === undefined ? startedAt : new Date(ran.startedAt)).toISOString(),
      durationMs: round(ran?.durationMs ?? performance.now() - start),
      config: maskSecrets(request.config),
      ...(thrown === undefined ? {} : { error: messageOf(thrown) }),
      ...(code === 0 ? {} : { code }),
      ...(stderr === '' ? {} : { stderr }),
    });
  };
  options.onBegin?.({ plugin: request.type, verb: request.verb, startedAt: startedAt.toISOString() });
  try {
    reply = await invoke.invoke(request, options);
    const answer = read(reply);
    report();
    return answer;
  } catch (thrown) {
    report(thrown);
    const elapsedMs = round(performance.now() - start);
    const provider = reply?.provider ?? (thrown instanceof PluginError ? thrown.provider : '');
    throw describe(request, network, thrown, { elapsedMs, provider, signal: options.signal });
  }
}

/** The CNI code of a plugin's failure; 0 when it gave none. */
export function cniCodeOf(thrown: unknown): number {
  if (thrown instanceof PluginError || thrown instanceof CniError) return thrown.code;
  return thrown instanceof BerthError && typeof thrown.meta['cniCode'] === 'number'
    ? thrown.meta['cniCode']
    : 0;
}

interface CallFacts {
  readonly elapsedMs: number;
  readonly provider: string;
  readonly signal: AbortSignal;
}

const VERB_WORDS: Readonly<Record<string, string>> = { DEL: 'delete' };

function describe(request: PluginRequest, network: string, thrown: unknown, facts: CallFacts): BerthError {
  const verb = VERB_WORDS[request.verb] ?? request.verb.toLowerCase();
  const cause = facts.signal.aborted ? ended(thrown, facts.signal) : messageOf(thrown);
  const by = facts.provider === '' ? '' : `, ${facts.provider}`;
  const name = network === '' ? '' : ` name="${network}"`;
  const message = `plugin type="${request.type}"${name} failed (${verb}): ${shorten(cause)} (after ${facts.elapsedMs} ms${by})`;
  const code = cniCodeOf(thrown);
  return new BerthError(errorCodeOf(thrown, facts.signal), message, {
    cause: thrown,
    meta: {
      plugin: request.type,
      verb: request.verb,
      network,
      elapsedMs: facts.elapsedMs,
      provider: facts.provider,
      ...(code === 0 ? {} : { cniCode: code }),
    },
  });
}

/** Why the signal ended the call, and the last that the plugin said. */
function ended(thrown: unknown, signal: AbortSignal): string {
  const said = thrown instanceof PluginError ? thrown.stderr.trim() : '';
  return `ended before it answered: ${messageOf(signal.reason)}${said === '' ? '' : `; stderr: ${said}`}`;
}

function errorCodeOf(thrown: unknown, signal: AbortSignal): ErrorCode {
  if (signal.aborted) {
    const reason: unknown = signal.reason;
    if (reason instanceof BerthError) return reason.code;
    return reason instanceof Error && reason.name === 'TimeoutError' ? 'DEADLINE_EXCEEDED' : 'CANCELLED';
  }
  // No provider: there is nothing that could have run.
  if (thrown instanceof PluginError && thrown.provider === '') return 'UNAVAILABLE';
  const code = cniCodeOf(thrown);
  const isUnavailable =
    code === CniCode.TryAgainLater || code === CniCode.NotAvailable || code === CniCode.LimitedConnectivity;
  return isUnavailable ? 'UNAVAILABLE' : 'UNKNOWN';
}

/** Keeps the beginning and the end: the end of a long stderr is what matters. */
function shorten(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_MESSAGE) return text;
  return `${bytes.subarray(0, 1000).toString('utf8')} … ${bytes.subarray(-(MAX_MESSAGE - 1100)).toString('utf8')}`;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
