import type { TestNode } from '../helpers/node.ts';

/** Where a daemon that is measured serves its metrics, in its own network namespace. */
export const metricsAddress = '127.0.0.1:9464';

const METRIC = 'nodejs_eventloop_lag_p99_seconds';

const fetchMetrics = `fetch('http://${metricsAddress}/metrics').then((answer) => answer.text()).then(console.log)`;

/**
 * Milliseconds of event-loop delay, 99th percentile, of the daemon in that node since the last time that this was asked. The
 * figure contains the 10 ms at which Node samples.
 */
export async function eventLoopDelay(node: TestNode): Promise<number> {
  const text = await node.run(process.execPath, '-e', fetchMetrics);
  const value = new RegExp(`^${METRIC} (\\S+)$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the daemon has no metric ${METRIC}`);
  return Number(value) * 1000;
}
