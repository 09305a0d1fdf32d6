import type { TestNode } from '../helpers/node.ts';

/** Where a daemon that is measured serves its metrics, in its own network namespace. */
export const metricsAddress = '127.0.0.1:9464';

const METRIC = 'nodejs_eventloop_lag_p99_seconds';

const fetchMetrics = `fetch('http://${metricsAddress}/metrics').then((answer) => answer.text()).then(console.log)`;

/** How often Node looks; what it gives as delay is the time between two looks. */
const SAMPLED_EVERY_MS = 10;

/** Milliseconds of event-loop delay, 99th percentile, of the daemon in that node since the last time that this was asked. */
export async function eventLoopDelay(node: TestNode): Promise<number> {
  const text = await node.run(process.execPath, '-e', fetchMetrics);
  const value = new RegExp(`^${METRIC} (\\S+)$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the daemon has no metric ${METRIC}`);
  return Math.max(0, Number(value) * 1000 - SAMPLED_EVERY_MS);
}
