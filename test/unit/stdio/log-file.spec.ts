import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LOG_FILE_LIMITS, LogFile, type LogFileReport } from '../../../src/stdio/log-file.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';

const FAST = { ...LOG_FILE_LIMITS, firstRetryMs: 10, lastRetryMs: 40, removedCheckMs: 0 };

describe('LogFile', () => {
  let scratch: Scratch;
  let path: string;
  let reports: LogFileReport[];
  const make = (limits = FAST): LogFile => new LogFile(path, (report) => reports.push(report), limits);
  const write = (file: LogFile, ...lines: string[]): void => {
    for (const line of lines) file.write(Buffer.from(`${line}\n`));
  };
  const lines = (of = path): string[] => readFileSync(of, 'utf8').split('\n').slice(0, -1);
  const kinds = (): string[] => reports.map(({ kind }) => kind);
  /** Every write to the log now says that no space is left on the device. */
  const fillDisk = (): void => {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync('/dev/full', path);
  };

  beforeEach(async () => {
    scratch = await Scratch.create();
    path = join(scratch.path, 'pods', 'uid', 'name', '0.log');
    reports = [];
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  it('makes the file and its directories, readable as kubelet wants', () => {
    const umask = process.umask(0o022);
    try {
      const file = make();
      file.open();
      write(file, 'one', 'two');
      file.close();
    } finally {
      process.umask(umask);
    }
    assert.deepEqual(lines(), ['one', 'two']);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o755);
    assert.deepEqual(reports, []);
  });

  it('appends to what is there and ends a torn last line', () => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'whole\ntor');
    const file = make();
    file.open();
    write(file, 'next');
    file.close();
    assert.deepEqual(lines(), ['whole', 'tor', 'next']);
  });

  it('adds no empty line to a file that ends well', () => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'whole\n');
    make().open();
    assert.equal(readFileSync(path, 'utf8'), 'whole\n');
  });

  it('goes on in a new file after a rotation', () => {
    const file = make();
    file.open();
    write(file, 'one');
    renameSync(path, `${path}.1`);
    write(file, 'two');
    file.open();
    write(file, 'three');
    file.close();
    assert.deepEqual(lines(`${path}.1`), ['one', 'two']);
    assert.deepEqual(lines(), ['three']);
  });

  it('reports a removed file once, and makes a new one when it is reopened', () => {
    const file = make();
    file.open();
    rmSync(dirname(path), { recursive: true });
    write(file, 'unseen', 'unseen');
    assert.deepEqual(reports, [{ kind: 'log-removed', path }]);
    file.open();
    write(file, 'seen');
    assert.deepEqual(lines(), ['seen']);
    rmSync(path);
    write(file, 'unseen');
    assert.deepEqual(kinds(), ['log-removed', 'log-removed']);
    file.close();
  });

  it('says what is wrong when the file cannot be opened', () => {
    mkdirSync(path, { recursive: true });
    assert.throws(() => make().open(), {
      name: 'BerthError',
      code: 'INTERNAL',
      message: `failed to open log file "${path}": EISDIR: illegal operation on a directory, open '${path}'`,
    });
  });

  it('stays with the old file when the new one cannot be opened', () => {
    const file = make();
    file.open();
    renameSync(path, `${path}.1`);
    mkdirSync(path);
    assert.throws(() => file.open(), /EISDIR/);
    write(file, 'still here');
    file.close();
    assert.deepEqual(lines(`${path}.1`), ['still here']);
  });

  it('keeps records while the disk is full and writes them later, in order', async () => {
    fillDisk();
    const file = make();
    file.open();
    write(file, 'one', 'two');
    assert.deepEqual(kinds(), ['log-write-failed']);
    assert.match((reports[0] as { error: string }).error, /ENOSPC/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(kinds(), ['log-write-failed'], 'one report for one outage');
    rmSync(path);
    file.open();
    write(file, 'three');
    assert.deepEqual(lines(), ['one', 'two', 'three']);
    assert.deepEqual(kinds(), ['log-write-failed', 'log-write-recovered']);
    file.close();
  });

  it('drops what it has no room for, newest first, and counts it', () => {
    fillDisk();
    const file = make({ ...FAST, pendingBytes: 12 });
    file.open();
    write(file, 'one', 'two', 'three', 'four');
    rmSync(path);
    file.open();
    file.close();
    assert.deepEqual(lines(), ['one', 'two']);
    assert.deepEqual(reports.slice(1), [
      { kind: 'log-dropped', path, lines: 2, bytes: 11 },
      { kind: 'log-write-recovered', path },
    ]);
  });

  it('reports what is dropped while it goes on failing', async () => {
    fillDisk();
    const file = make({ ...FAST, pendingBytes: 5 });
    file.open();
    write(file, 'one', 'two');
    await eventually('a report', () => (kinds().includes('log-dropped') ? true : undefined));
    write(file, 'three');
    file.close();
    const dropped = reports.filter((report) => report.kind === 'log-dropped');
    assert.equal(
      dropped.reduce((sum, report) => sum + report.lines, 0),
      3,
    );
  });

  it('counts as dropped what waits when it is closed', () => {
    fillDisk();
    const file = make();
    file.open();
    write(file, 'one', 'two');
    file.close();
    assert.deepEqual(reports.at(-1), { kind: 'log-dropped', path, lines: 2, bytes: 8 });
  });

  it('opens the file later when it was not, or could not be, opened', async () => {
    writeFileSync(join(scratch.path, 'pods'), 'in the way');
    const file = make();
    write(file, 'one');
    assert.deepEqual(kinds(), ['log-write-failed']);
    rmSync(join(scratch.path, 'pods'));
    await eventually('the retry', () => (kinds().includes('log-write-recovered') ? true : undefined));
    write(file, 'two');
    file.close();
    assert.deepEqual(lines(), ['one', 'two']);
  });
});
