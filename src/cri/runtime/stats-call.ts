import type { Stats } from '../../pod/stats/stats.ts';
import type { Call } from '../call.ts';

/** What the RPCs on statistics work with. */
export interface StatsDeps {
  readonly stats: Stats;
}

export type StatsUnary<Request, Response> = (
  deps: StatsDeps,
  request: Request,
  call: Call,
) => Promise<Response>;
export type StatsStream<Request, Response> = (
  deps: StatsDeps,
  request: Request,
  call: Call,
) => AsyncIterable<Response>;

/** All batches as one list. */
export async function collect<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
