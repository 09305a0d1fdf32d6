import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogReader } from '../../../src/cli/pod/log-reader.ts';

describe('LogReader', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-log-'));
    path = join(directory, '0.log');
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  async function rest(reader: LogReader): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of reader.rest()) lines.push(line.toString());
    return lines;
  }

  it('gives whole lines, in whatever pieces they are written', async () => {
    const long = 'x'.repeat(100_000);
    writeFileSync(path, `one\ntwo\n${long}`);
    await using reader = await LogReader.open(path);
    assert.deepEqual(await rest(reader), ['one', 'two']);
    appendFileSync(path, 'yz');
    assert.deepEqual(await rest(reader), []);
    appendFileSync(path, '\n\nthree\n');
    assert.deepEqual(await rest(reader), [`${long}yz`, '', 'three']);
  });

  it('goes on in the new file after a rotation, with what was written to the old one before it', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await LogReader.open(path);
    assert.deepEqual(await rest(reader), ['one']);
    renameSync(path, `${path}.1`);
    appendFileSync(`${path}.1`, 'two\n');
    assert.deepEqual(await rest(reader), ['two']);
    appendFileSync(`${path}.1`, 'three\n');
    writeFileSync(path, 'four\n');
    assert.deepEqual(await rest(reader), ['three', 'four']);
    appendFileSync(path, 'five\n');
    assert.deepEqual(await rest(reader), ['five']);
  });

  it('begins again with a file that was cut short', async () => {
    writeFileSync(path, 'one\ntwo\nthr');
    await using reader = await LogReader.open(path);
    assert.deepEqual(await rest(reader), ['one', 'two']);
    truncateSync(path);
    appendFileSync(path, 'four\n');
    assert.deepEqual(await rest(reader), ['four']);
  });

  it('reads a file that was removed, and the one that takes its place', async () => {
    writeFileSync(path, 'one\n');
    await using reader = await LogReader.open(path);
    rmSync(path);
    assert.deepEqual(await rest(reader), ['one']);
    assert.deepEqual(await rest(reader), []);
    writeFileSync(path, 'two\n');
    assert.deepEqual(await rest(reader), ['two']);
  });

  it('says that there is none', async () => {
    await assert.rejects(LogReader.open(path), { code: 'NOT_FOUND', message: `there is no log at ${path}` });
  });
});
