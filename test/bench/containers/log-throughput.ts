import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Samples, settle, takeDown } from '../measure.ts';
import type { Contestant } from './contestants.ts';
import { containerConfig, operations, runPod } from './measure.ts';

const LINE = `${'a line as programs write them to their logs, with some words in it'.padEnd(119, '.')}\n`;
const LAST = 'the last line of all\n';
const DEADLINE_MS = 120_000;
const POLL_MS = 2;

/** A file with so many MiB of lines, for a container to write to its output. */
export async function writeLines(directory: string, megabytes: number): Promise<string> {
  const file = join(directory, 'lines');
  const count = Math.ceil((megabytes << 20) / LINE.length);
  await writeFile(file, LINE.repeat(count) + LAST);
  return file;
}

/** Times a container's output, from the first byte in its log file to the last. */
export async function logThroughput(contestant: Contestant, samples: Samples, lines: string): Promise<void> {
  const { client } = contestant;
  const pod = await runPod(contestant);
  const config = containerConfig({
    command: ['cat', '/lines'],
    mounts: [{ hostPath: lines, containerPath: '/lines', readonly: true }],
  });
  const id = await client.create(pod, config);
  const log = join(pod.config.logDirectory ?? '', config.logPath ?? '');
  const [first] = await Promise.all([until(() => existsSync(log) && endOf(log) !== ''), client.start(id)]);
  const last = await until(() => endOf(log) === LAST);
  samples.add(operations.log, last - first);
  await client.check(id);
  await takeDown(client.cri, pod.id);
  await settle();
}

/** The last bytes of a file. */
function endOf(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(LAST.length);
    const count = readSync(fd, bytes, 0, LAST.length, Math.max(0, fstatSync(fd).size - LAST.length));
    return bytes.toString('utf8', 0, count);
  } finally {
    closeSync(fd);
  }
}

/** When the condition came to hold, on the clock of performance.now(). */
async function until(holds: () => boolean): Promise<number> {
  const begin = performance.now();
  while (!holds()) {
    if (performance.now() - begin > DEADLINE_MS) throw new Error('the log did not come to its end');
    await sleep(POLL_MS);
  }
  return performance.now();
}
