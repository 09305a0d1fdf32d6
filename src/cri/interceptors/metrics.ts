import type { Histogram } from 'prom-client';
import { codeOf } from '../../lib/errors.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { Interceptor } from './interceptor.ts';

/** Counts and times each call by method and gRPC code. */
export function metricsInterceptor(metrics: Metrics): Interceptor {
  // To find the labels' histogram costs more than to count in it.
  const known = new Map<string, Histogram.Internal<'method' | 'code'>>();
  const histogram = (method: string, code: string): Histogram.Internal<'method' | 'code'> => {
    const key = `${method} ${code}`;
    const found = known.get(key) ?? metrics.rpcSeconds.labels({ method, code });
    known.set(key, found);
    return found;
  };
  return (next) => async (request, call) => {
    const started = performance.now();
    const count = (code: string): void => {
      histogram(call.method, code).observe((performance.now() - started) / 1_000);
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
