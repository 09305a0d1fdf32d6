import { BerthError, codeOf, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Interceptor } from './interceptor.ts';

/** Calls that kubelet makes all the time and that change nothing: their lines are for debugging only. */
const QUIET =
  /^(List|Stream|Status$|Version$|PodSandboxStatus$|ContainerStatus$|GetContainerEvents$|RuntimeConfig$|ImageFsInfo$)/;

/** An answer goes out in several turns of the event loop; nothing that can wait comes between them. */
const AFTER_MS = 5;

/** The facts of the error by which Berth refuses an RPC that it does not have. */
export const UNKNOWN_RPC = { unknownRpc: true } as const;

/**
 * One line for each call, with its id, time and outcome; written once the answer has gone out. An RPC that Berth does not have
 * is the client's probing, not our error; what the engine does not have is one.
 */
export function logInterceptor(log: Logger): Interceptor {
  return (next) => async (request, call) => {
    const started = performance.now();
    const level = QUIET.test(call.method) ? 'debug' : 'info';
    const facts = (ms: number): Record<string, unknown> => ({
      method: call.method,
      ...subject(request),
      ms: Math.round(ms * 10) / 10,
    });
    try {
      const response = await next(request, call);
      const ms = performance.now() - started;
      setTimeout(() => log[level]('answered', { ...facts(ms), ...subject(response) }), AFTER_MS);
      return response;
    } catch (error) {
      const code = codeOf(error);
      const line = { ...facts(performance.now() - started), code, error: messageOf(error) };
      const isExpected = isUnknownRpc(error) || call.signal.aborted || level === 'debug';
      setTimeout(() => {
        if (isExpected) log.debug('refused', line);
        else log.warn('failed', line);
      }, AFTER_MS);
      throw error;
    }
  };
}

function isUnknownRpc(error: unknown): boolean {
  return error instanceof BerthError && error.meta['unknownRpc'] === true;
}

/** What a message is about; never its payload. */
function subject(message: unknown): Record<string, unknown> {
  if (typeof message !== 'object' || message === null) return {};
  const { podSandboxId, config } = message as {
    podSandboxId?: unknown;
    config?: { metadata?: unknown } | null;
  };
  return {
    ...(typeof podSandboxId === 'string' ? { sandbox: podSandboxId } : {}),
    ...(config?.metadata === undefined || config.metadata === null ? {} : named(config.metadata)),
  };
}

/** Metadata of a pod, or of a container, which has no namespace. */
function named(metadata: object): Record<string, string> {
  const { namespace, name } = metadata as { namespace?: unknown; name?: unknown };
  return typeof namespace === 'string'
    ? { pod: `${namespace}/${String(name)}`.slice(0, 512) }
    : { container: String(name).slice(0, 512) };
}
