import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { LogReader } from '../../../src/cli/pod/log-reader.ts';

describe('LogReader', () => {
  let directory: string;
  let path: string;
  let notices: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-log-'));
    path = join(directory, '0.log');
    notices = [];
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function openReader(): Promise<LogReader> {
    return LogReader.open(path, (text) => notices.push(text));
  }

  /** As kubelet and ReopenContainerLog do it; the path of the old file. */
  function rotate(second: number, text: string): string {
    const rotated = `${path}.20260102-0304${String(second).padStart(2, '0')}`;
    renameSync(path, rotated);
    writeFileSync(path, text);
    return rotated;
  }

  function compress(rotated: string): void {
    writeFileSync(`${rotated}.gz`, gzipSync(readFileSync(rotated)));
    rmSync(rotated);
  }

  async function rest(reader: LogReader): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of reader.rest()) lines.push(line.toString());
    return lines;
  }

  it('gives whole lines, in whatever pieces they are written', async () => {
    const long = 'x'.repeat(100_000);
    writeFileSync(path, `one\ntwo\n${long}`);
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one', 'two']);
    appendFileSync(path, 'yz');
    assert.deepEqual(await rest(reader), []);
    appendFileSync(path, '\n\nthree\n');
    assert.deepEqual(await rest(reader), [`${long}yz`, '', 'three']);
  });

  it('goes on in the new file after a rotation, with what was written to the old one before it', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one']);
    renameSync(path, `${path}.1`);
    appendFileSync(`${path}.1`, 'two\n');
    assert.deepEqual(await rest(reader), ['two']);
    appendFileSync(`${path}.1`, 'three\n');
    writeFileSync(path, 'four\n');
    assert.deepEqual(await rest(reader), ['three', 'four']);
    appendFileSync(path, 'five\n');
    assert.deepEqual(await rest(reader), ['five']);
    assert.deepEqual(notices, []);
  });

  it('reads every file that was rotated since it last looked, and none that was rotated before', async () => {
    writeFileSync(path, 'before\n');
    rotate(1, 'older\n');
    compress(rotate(2, 'one\n'));
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one']);
    appendFileSync(path, 'two\n');
    rotate(3, 'three\n');
    writeFileSync(`${path}.20260102-030403.tmp`, 'nothing\n');
    rotate(4, 'four\n');
    rotate(5, 'five\n');
    assert.deepEqual(await rest(reader), ['two', 'three', 'four', 'five']);
    rotate(6, 'six\n');
    assert.deepEqual(await rest(reader), ['six']);
    assert.deepEqual(notices, []);
  });

  it('reads what is compressed by now, and knows its own file again', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one']);
    appendFileSync(path, 'two\n');
    const own = rotate(1, 'three\n');
    const both = rotate(2, 'four\n');
    compress(own);
    rotate(3, 'five\n');
    // In the middle of it.
    writeFileSync(`${both}.gz`, gzipSync(readFileSync(both)));
    assert.deepEqual(await rest(reader), ['two', 'three', 'four', 'five']);
    assert.deepEqual(notices, []);
  });

  it('tells of what was removed before it was read, and goes on', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one']);
    const own = rotate(1, 'two\n');
    rmSync(rotate(2, 'three\n'));
    rmSync(own);
    rotate(3, 'four\n');
    assert.deepEqual(await rest(reader), ['three', 'four']);
    assert.deepEqual(notices, [
      `${path}: the file read last is gone, and others may be gone with it: lines may be missing`,
    ]);
  });

  it('tells of what is compressed and broken, and goes on', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await openReader();
    rotate(1, 'two\n');
    const broken = rotate(2, 'three\n');
    rmSync(broken);
    writeFileSync(`${broken}.gz`, gzipSync('two\n').subarray(0, -6));
    assert.deepEqual(
      (await rest(reader)).filter((line) => line !== 'two'),
      ['one', 'three'],
    );
    assert.deepEqual(notices, [`failed to read ${broken}: unexpected end of file: lines of it are missing`]);
  });

  it('begins again with a file that was cut short', async () => {
    writeFileSync(path, 'one\ntwo\nthr');
    await using reader = await openReader();
    assert.deepEqual(await rest(reader), ['one', 'two']);
    truncateSync(path);
    appendFileSync(path, 'four\n');
    assert.deepEqual(await rest(reader), ['four']);
  });

  it('reads a file that was removed, and the one that takes its place', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await openReader();
    rmSync(path);
    assert.deepEqual(await rest(reader), ['one']);
    assert.deepEqual(await rest(reader), []);
    writeFileSync(path, 'two\n');
    assert.deepEqual(await rest(reader), ['two']);
    assert.equal(notices.length, 1);
  });

  it('says that there is none', async () => {
    await assert.rejects(openReader(), { code: 'NOT_FOUND', message: `there is no log at ${path}` });
  });
});
