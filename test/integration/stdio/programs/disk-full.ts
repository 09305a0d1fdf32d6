/** Fills a small file system with a container's log, makes room, and tells what happened. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createFifos } from '../../../../src/stdio/fifos.ts';
import type { PumpReport } from '../../../../src/stdio/protocol.ts';
import { Pumps } from '../../../../src/stdio/pumps.ts';
import { MS_REMOUNT, mount } from '../../../../src/kernel/libc.ts';
import { eventually } from '../../../helpers/fixture.ts';
import { readLog, Shim } from '../rig.ts';

export interface DiskFullResult {
  readonly reports: readonly PumpReport[];
  /** The numbers in the logs, in order. */
  readonly numbers: readonly number[];
  readonly last: number;
  readonly blockedMs: number;
}

const LINES = 200_000;

const [scratch = ''] = process.argv.slice(2);
const disk = join(scratch, 'disk');
mkdirSync(disk);
mount('tmpfs', disk, 'tmpfs', 0, 'size=4m');

const reports: PumpReport[] = [];
const pumps = new Pumps({ onReport: (report) => reports.push(report), onThreadDied: console.error });
const { stdout } = createFifos(join(scratch, 'io'), 'c1', { stdin: false, terminal: true });
const logPath = join(disk, 'c1', '0.log');
await pumps.start({ id: 'c1', stdout, terminal: true, logPath });
const shim = new Shim(stdout);
const began = Date.now();
await shim.run('seq', String(LINES));
const blockedMs = Date.now() - began;

mount('tmpfs', disk, 'tmpfs', MS_REMOUNT, 'size=64m');
await eventually('the recovery', () =>
  reports.some(({ kind }) => kind === 'log-write-recovered') ? true : undefined,
);
await shim.run('seq', String(LINES + 1), String(LINES + 10));
shim.close();
await pumps.drain('c1', {});
const numbers = readLog(logPath).map(({ content }) => Number(content));
await pumps.stopAll();
rmSync(join(scratch, 'io'), { recursive: true });
process.stdout.write(
  JSON.stringify({ reports, numbers, last: LINES + 10, blockedMs } satisfies DiskFullResult),
);
