import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { mkfifo } from '../../../src/kernel/libc.ts';
import { FifoSink } from '../../../src/stdio/fifo-sink.ts';
import { eventually } from '../../helpers/fixture.ts';

describe('FifoSink', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-sink-'));
    path = join(directory, 'stdin');
    mkfifo(path, 0o600);
  });

  afterEach(() => rm(directory, { recursive: true }));

  const isOpen = (): boolean =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === path;
      } catch {
        return false;
      }
    });
  const closed = (): Promise<unknown> => eventually('it is closed', () => (isOpen() ? undefined : true));

  it('keeps what was written, and its end, for a reader that opens the FIFO after it', async () => {
    const sink = new FifoSink(path);
    await new Promise<void>((resolve) => sink.write(Buffer.from('late'), () => resolve()));
    sink.end();
    await sleep(30);
    const { stdout } = await execa('cat', [path], { timeout: 30_000 });
    assert.equal(stdout, 'late');
    await closed();
  });

  it('is closed at once for a reader that is there', async () => {
    const sink = new FifoSink(path);
    const reading = execa('cat', [path], { timeout: 30_000 });
    await new Promise<void>((resolve) => sink.write(Buffer.from('now'), () => resolve()));
    sink.end();
    assert.equal((await reading).stdout, 'now');
    await closed();
  });

  it('waits for no reader once it is to be closed', async () => {
    const sink = new FifoSink(path);
    sink.end();
    sink.close();
    await closed();
  });
});
