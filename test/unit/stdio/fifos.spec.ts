import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { close } from '../../../src/kernel/libc.ts';
import { createFifos, fifoPaths, openInput, openOutput, removeFifos } from '../../../src/stdio/fifos.ts';
import { Scratch } from '../../helpers/fixture.ts';

describe('FIFOs', () => {
  let scratch: Scratch;
  beforeEach(async () => {
    scratch = await Scratch.create();
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  it('are made in a directory of their own, for their owner only', () => {
    const paths = createFifos(scratch.path, 'c1', { stdin: true, terminal: false });
    assert.equal(statSync(paths.directory).mode & 0o777, 0o700);
    for (const path of [paths.stdin, paths.stdout, paths.stderr]) {
      assert.ok(path !== undefined && statSync(path).isFIFO());
      assert.equal(statSync(path).mode & 0o077, 0);
    }
  });

  it('are only those that the process has', () => {
    const paths = createFifos(scratch.path, 'c1', { stdin: false, terminal: true });
    assert.deepEqual(Object.keys(paths), ['directory', 'stdout']);
    assert.deepEqual(paths, fifoPaths(scratch.path, 'c1', { stdin: false, terminal: true }));
  });

  it('can be made again, and removed twice', async () => {
    const options = { stdin: false, terminal: false };
    const paths = createFifos(scratch.path, 'c1', options);
    assert.deepEqual(createFifos(scratch.path, 'c1', options), paths);
    await removeFifos(scratch.path, 'c1');
    assert.equal(existsSync(paths.directory), false);
    await removeFifos(scratch.path, 'c1');
  });

  it('do not take the place of another kind of file', async () => {
    await mkdir(join(scratch.path, 'c1'));
    writeFileSync(join(scratch.path, 'c1', 'stdout'), '');
    assert.throws(
      () => createFifos(scratch.path, 'c1', { stdin: false, terminal: true }),
      /failed to create FIFOs of "c1": mkfifo .*: file exists/,
    );
  });

  it('never leave their directory', async () => {
    for (const id of ['..', 'a/b', '', '.hidden', 'a\0b']) {
      assert.throws(() => createFifos(scratch.path, id, { stdin: false, terminal: true }), {
        code: 'INVALID_ARGUMENT',
      });
      await assert.rejects(removeFifos(scratch.path, id), { code: 'INVALID_ARGUMENT' });
    }
  });

  it('open without waiting for the other side, and have no end as long as the keeper is open', () => {
    const paths = createFifos(scratch.path, 'c1', { stdin: true, terminal: true });
    const { reader, keeper } = openOutput(paths.stdout);
    const writer = openSync(paths.stdout, constants.O_WRONLY);
    writeSync(writer, 'x');
    closeSync(writer);
    const byte = Buffer.alloc(1);
    assert.equal(readSync(reader, byte), 1);
    assert.throws(() => readSync(reader, byte), { code: 'EAGAIN' });
    closeSync(keeper);
    assert.equal(readSync(reader, byte), 0);
    close(reader);
    close(openInput(paths.stdin ?? ''));
  });
});
