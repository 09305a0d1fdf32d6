import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { execa } from 'execa';
import { isJsonObject } from '../../../src/lib/json.ts';
import type { Json } from '../../../src/lib/json.ts';
import type { TestNode } from '../../helpers/node.ts';

const LISTEN_MS = 5_000;

/** What one TCP stream brings from one pod to another in so many seconds, in Gbit/s as the receiver counts them. */
export async function throughput(
  from: TestNode,
  to: { readonly node: TestNode; readonly address: string },
  seconds: number,
): Promise<number> {
  const server = await listen(to.node, to.address);
  try {
    const [file, args] = from.command('iperf3', '-J', '-c', to.address, '-t', String(seconds));
    const { stdout } = await execa(file, args, { timeout: (seconds + 10) * 1_000 });
    return receivedOf(JSON.parse(stdout) as Json) / 1e9;
  } finally {
    await end(server);
  }
}

/** A server for one client; it listens when this returns. */
async function listen(node: TestNode, address: string): Promise<ChildProcess> {
  const [file, args] = node.command('iperf3', '-s', '-1', '--forceflush', '-B', address);
  const server = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const listening = new Promise<void>((resolve, reject) => {
    server.stdout.on('data', (text: Buffer) => {
      if (text.includes('Server listening')) resolve();
    });
    server.once('exit', () => reject(new Error('the server of iperf3 ended before it listened')));
    setTimeout(() => reject(new Error('the server of iperf3 does not listen')), LISTEN_MS).unref();
  });
  try {
    await listening;
    return server;
  } catch (error) {
    await end(server);
    throw error;
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill();
  await gone;
}

function receivedOf(report: Json): number {
  const end = isJsonObject(report) ? report['end'] : undefined;
  const sum = isJsonObject(end) ? end['sum_received'] : undefined;
  const rate = isJsonObject(sum) ? sum['bits_per_second'] : undefined;
  if (typeof rate !== 'number')
    throw new Error(`iperf3 tells no rate: ${JSON.stringify(report).slice(0, 500)}`);
  return rate;
}
