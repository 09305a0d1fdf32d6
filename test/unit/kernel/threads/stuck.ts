/** A program for pool.spec.ts: it ends while one of its threads waits for a tool. */
import { exitProcess } from '../../../../src/kernel/libc.ts';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import { codeOf, messageOf } from '../../../../src/lib/errors.ts';

const pool = new ThreadPool({
  name: 'stuck',
  size: 1,
  modules: [new URL('./jobs.js', import.meta.url)],
  serve: { answer: async () => void setTimeout(() => void stop(), 50) },
});
const job = pool.call('tool', 120_000).then(
  () => 'the tool ended',
  (error: unknown) => `${codeOf(error)}: ${messageOf(error)}`,
);

async function stop(): Promise<void> {
  await pool.stop(20);
  console.log(await job);
  exitProcess(0);
}
