import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { Scratch } from '../../helpers/fixture.ts';
import type { DiskFullResult } from './programs/disk-full.ts';

describe('A full disk', () => {
  it('is reported, blocks no container, and costs only what there is no room for', async () => {
    await using scratch = await Scratch.create();
    const program = fileURLToPath(new URL('./programs/disk-full.js', import.meta.url));
    // A mount namespace of its own: the small file system is nobody else's and ends with the process.
    const { stdout } = await execa('unshare', [
      '--mount',
      '--propagation=private',
      process.execPath,
      program,
      scratch.path,
    ]);
    const { reports, numbers, blockedMs, last } = JSON.parse(stdout) as DiskFullResult;
    const kinds = reports.map(({ kind }) => kind);
    assert.equal(kinds[0], 'log-write-failed');
    assert.match(JSON.stringify(reports[0]), /ENOSPC/);
    assert.ok(kinds.includes('log-write-recovered'));
    assert.ok(blockedMs < 10_000, `the writer was blocked for ${blockedMs} ms`);
    const dropped = reports.reduce(
      (sum, report) => sum + (report.kind === 'log-dropped' ? report.lines : 0),
      0,
    );
    assert.ok(dropped > 0, 'nothing was dropped: the file system was large enough');
    assert.equal(numbers.length + dropped, last, 'each line is written or counted');
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      'no line comes twice, and all in order',
    );
    assert.equal(numbers.at(-1), last, 'what is written after the recovery arrives');
  });
});
