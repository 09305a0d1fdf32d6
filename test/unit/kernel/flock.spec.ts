import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileLock, holderAmong } from '../../../src/kernel/flock.ts';

describe('FileLock', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-flock-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is held until it is disposed', () => {
    const path = join(directory, 'lock');
    {
      using lock = FileLock.acquire(path);
      assert.ok(lock);
      assert.equal(FileLock.tryAcquire(path), undefined);
    }
    const again = FileLock.tryAcquire(path);
    assert.notEqual(again, undefined);
    again?.release();
  });

  it('names the holder when it waits too long', () => {
    const path = join(directory, 'lock');
    using lock = FileLock.acquire(path);
    assert.ok(lock);
    const started = performance.now();
    assert.throws(() => FileLock.acquire(path, { timeoutMs: 30 }), {
      code: 'DEADLINE_EXCEEDED',
      message: `failed to lock "${path}": held by process ${process.pid} for longer than 30 ms`,
    });
    assert.ok(performance.now() - started < 10_000);
  });

  it('finds the holder by the inode and the device, as other devices have the same inodes', () => {
    const locks = [
      '1: FLOCK  ADVISORY  WRITE 11 00:2a:5 0 EOF',
      '2: POSIX  ADVISORY  WRITE 12 08:01:5 0 EOF',
      '2: -> FLOCK  ADVISORY  WRITE 13 08:01:5 0 EOF',
      '3: FLOCK  ADVISORY  WRITE 14 08:01:5 0 EOF',
      '4: FLOCK  ADVISORY  WRITE 15 103:10001:5 0 EOF',
    ].join('\n');
    assert.equal(holderAmong(locks, { dev: 0x2a, ino: 5 }), 11);
    assert.equal(holderAmong(locks, { dev: 0x801, ino: 5 }), 14);
    assert.equal(holderAmong(locks, { dev: 0x10010301, ino: 5 }), 15);
    assert.equal(holderAmong(locks, { dev: 0x801, ino: 6 }), undefined);
  });

  it('makes the file with the mode asked for, and locks directories', () => {
    const path = join(directory, 'lock');
    FileLock.acquire(path, { mode: 0o640 }).release();
    assert.equal(statSync(path).mode & 0o707, 0o600);
    using lock = FileLock.acquire(directory);
    assert.ok(lock);
    assert.equal(FileLock.tryAcquire(directory), undefined);
  });

  it('says which path could not be opened', () => {
    assert.throws(() => FileLock.acquire(join(directory, 'absent', 'lock')), { code: 'ENOENT' });
  });

  it('may be released twice', () => {
    const lock = FileLock.acquire(join(directory, 'lock'));
    lock.release();
    lock.release();
  });
});
