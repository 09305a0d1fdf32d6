import { BerthError, codeOf, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Interceptor } from './interceptor.ts';

/** Calls that kubelet makes all the time and that change nothing: their lines are for debugging only, also of those that fail. */
const QUIET =
  /^(List|Stream|Status$|Version$|PodSandboxStatus$|ContainerStatus$|GetContainerEvents$|RuntimeConfig$|ImageFsInfo$)/;
/** Those that are as frequent, as one for each probe; that one fails is worth a line. */
const QUIET_UNLESS_FAILED = /^(ExecSync|ImageStatus|ContainerStats|PodSandboxStats)$/;

/** An answer goes out in several turns of the event loop; nothing that can wait comes between them. */
const AFTER_MS = 5;
/** What a line tells of a client's text. */
const FACT_MAX = 512;

/** The facts of the error by which Berth refuses an RPC that it does not have. */
export const UNKNOWN_RPC = { unknownRpc: true } as const;

/**
 * One line for each call, with its id, time and outcome; written once the answer has gone out. An RPC that Berth does not have
 * is the client's probing, not our error; what the engine does not have is one.
 */
export function logInterceptor(log: Logger): Interceptor {
  return (next) => async (request, call) => {
    const started = performance.now();
    const isQuiet = QUIET.test(call.method);
    const level = isQuiet || QUIET_UNLESS_FAILED.test(call.method) ? 'debug' : 'info';
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
      const isExpected = isUnknownRpc(error) || call.signal.aborted || isQuiet;
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

interface Subject {
  readonly podSandboxId?: unknown;
  readonly containerId?: unknown;
  readonly config?: { readonly metadata?: object | null } | null;
  /** As a request has it; an answer's is the image itself. */
  readonly image?: { readonly image?: unknown } | null;
  readonly imageRef?: unknown;
}

/** What a message is about, as other lines call it; never its payload. */
function subject(message: unknown): Record<string, string> {
  if (typeof message !== 'object' || message === null) return {};
  const { podSandboxId, containerId, config, image, imageRef } = message as Subject;
  const facts = {
    sandbox: podSandboxId,
    container: containerId,
    ...named(config?.metadata ?? {}),
    image: image?.image,
    imageRef,
  };
  // A client may send any text.
  return Object.fromEntries(
    Object.entries(facts).flatMap(([key, value]) =>
      typeof value === 'string' && value !== '' ? [[key, value.slice(0, FACT_MAX)]] : [],
    ),
  );
}

/** Metadata of a pod, or of a container, which has no namespace. */
function named({ namespace, name }: { readonly namespace?: unknown; readonly name?: unknown }): object {
  return typeof namespace === 'string' ? { pod: `${namespace}/${String(name)}` } : { name };
}
