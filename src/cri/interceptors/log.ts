import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Interceptor } from './interceptor.ts';

/** Calls that kubelet makes all the time and that change nothing: their lines are for debugging only. */
const QUIET =
  /^(List|Stream|Status$|Version$|PodSandboxStatus$|GetContainerEvents$|RuntimeConfig$|ImageFsInfo$)/;

/**
 * One line for each call, with its id, time and outcome; written once the answer is on its way. An unknown RPC is the client's
 * probing, not our error.
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
      setImmediate(() => log[level]('answered', { ...facts(ms), ...subject(response) }));
      return response;
    } catch (error) {
      const code = codeOf(error);
      const line = { ...facts(performance.now() - started), code, error: messageOf(error) };
      const isExpected = code === 'UNIMPLEMENTED' || call.signal.aborted || level === 'debug';
      setImmediate(() => {
        if (isExpected) log.debug('refused', line);
        else log.warn('failed', line);
      });
      throw error;
    }
  };
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
    ...(config?.metadata === undefined || config.metadata === null ? {} : { pod: podName(config.metadata) }),
  };
}

function podName(metadata: object): string {
  const { namespace, name } = metadata as { namespace?: unknown; name?: unknown };
  return `${String(namespace)}/${String(name)}`.slice(0, 512);
}
