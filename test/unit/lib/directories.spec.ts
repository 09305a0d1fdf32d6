import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, makeDirectorySync } from '../../../src/lib/directories.ts';
import { Scratch } from '../../helpers/fixture.ts';

const CHILD_MS = 30_000;
const module = new URL('../../../src/lib/directories.js', import.meta.url).href;

/** What became of the call in a process of its own, which ends even where the call does not. */
function inChild(name: string, path: string): string {
  const script = `import * as it from ${JSON.stringify(module)};
try { await it.${name}(${JSON.stringify(path)}, 0o700); console.log('made'); }
catch (error) { console.log(error.code); }`;
  const { stdout, error } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: CHILD_MS,
    killSignal: 'SIGKILL',
  });
  if (error !== undefined) throw error;
  return stdout.trim();
}

describe('makeDirectory and makeDirectorySync', () => {
  let scratch: Scratch;
  beforeEach(async () => void (scratch = await Scratch.create()));
  afterEach(() => scratch[Symbol.asyncDispose]());

  const make = {
    makeDirectory,
    makeDirectorySync: async (path: string, mode: number) => makeDirectorySync(path, mode),
  };
  for (const [name, one] of Object.entries(make)) {
    it(`${name} makes what is missing and takes what is there, through symlinks, too`, async () => {
      const path = join(scratch.path, 'a', 'b', 'c');
      await one(path, 0o700);
      await one(path, 0o755);
      assert.equal(statSync(path).mode & 0o777, 0o700);
      assert.equal(statSync(join(scratch.path, 'a')).mode & 0o777, 0o700);
      symlinkSync(path, join(scratch.path, 'link'));
      await one(join(scratch.path, 'link'), 0o700);
      await one(join(scratch.path, 'link', 'd'), 0o700);
      assert.ok(statSync(join(path, 'd')).isDirectory());
      await one('/', 0o700);
    });

    it(`${name} refuses what is or leads through no directory`, async () => {
      const file = join(scratch.path, 'file');
      writeFileSync(file, '');
      await assert.rejects(one(file, 0o700), { code: 'EEXIST' });
      await assert.rejects(one(join(file, 'below'), 0o700), { code: 'ENOTDIR' });
      symlinkSync(join(scratch.path, 'absent'), join(scratch.path, 'dangling'));
      await assert.rejects(one(join(scratch.path, 'dangling'), 0o700), { code: 'EEXIST' });
    });

    it(`${name} ends where nothing can be made below a directory that is there`, function () {
      this.timeout(2 * CHILD_MS);
      assert.equal(inChild(name, '/proc/berth-no-such/below'), 'ENOENT');
    });
  }
});
