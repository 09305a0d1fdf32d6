import { codeOf } from '../../lib/errors.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { Interceptor } from './interceptor.ts';

/** Counts and times each call by method and gRPC code. */
export function metricsInterceptor(metrics: Metrics): Interceptor {
  return (next) => async (request, call) => {
    const started = performance.now();
    const count = (code: string): void => {
      metrics.rpcSeconds.observe({ method: call.method, code }, (performance.now() - started) / 1_000);
    };
    try {
      const response = await next(request, call);
      count('OK');
      return response;
    } catch (error) {
      count(codeOf(error));
      throw error;
    }
  };
}
