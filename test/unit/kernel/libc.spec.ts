import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { close, lgetxattr, openat2, RESOLVE_IN_ROOT } from '../../../src/kernel/libc.ts';

describe('openat2', () => {
  let directory: string;
  let root: number;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-openat2-'));
    mkdirSync(join(directory, 'etc'));
    writeFileSync(join(directory, 'etc/hostname'), 'of the image');
    root = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  });
  afterEach(() => {
    closeSync(root);
    rmSync(directory, { recursive: true });
  });

  const read = (path: string): string => {
    const fd = openat2(root, path, { flags: constants.O_RDONLY, resolve: RESOLVE_IN_ROOT });
    try {
      return readFileSync(fd, 'utf8');
    } finally {
      close(fd);
    }
  };

  it('takes every path, absolute ones and symlinks too, as below the root', () => {
    symlinkSync('/etc/hostname', join(directory, 'absolute'));
    symlinkSync('../../../../etc/hostname', join(directory, 'upwards'));
    for (const path of ['etc/hostname', '/etc/hostname', 'absolute', 'upwards', '../../etc/hostname']) {
      assert.equal(read(path), 'of the image', path);
    }
  });

  it('names the path that it could not open', () => {
    assert.throws(() => read('etc/absent'), {
      code: 'ENOENT',
      message: 'openat2 "etc/absent": no such file or directory',
    });
  });
});

describe('lgetxattr', () => {
  const read = (path: string): number => lgetxattr(path, 'user.berth.absent', new Uint8Array(8));

  it('finds nothing where there is no such attribute, or can be none', () => {
    for (const path of [process.execPath, '/proc/self/stat']) assert.equal(read(path), 0, path);
  });

  it('throws when there is no such file', () => {
    assert.throws(() => read('/absent'), { code: 'ENOENT', syscall: 'lgetxattr' });
  });
});
