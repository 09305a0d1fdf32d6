import assert from 'node:assert/strict';
import { linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { remapTree } from '../../../../src/pod/engine/remap-tree.ts';

const mapping = { containerID: 0, hostID: 200_000, size: 65_536 };

describe('the remapping of a tree', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-remap-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const remap = (): void => remapTree(root, { uids: [mapping], gids: [mapping] });

  it('leaves links that the file system keeps, and what symlinks lead to', () => {
    const outside = mkdtempSync(join(tmpdir(), 'berth-outside-'));
    try {
      mkdirSync(join(root, 'sub'));
      writeFileSync(join(root, 'file'), 'content');
      linkSync(join(root, 'file'), join(root, 'sub/file'));
      symlinkSync(outside, join(root, 'symlink'));
      linkSync(join(root, 'symlink'), join(root, 'sub/symlink'));
      const before = lstatSync(join(root, 'sub'), { bigint: true });
      const { ino } = lstatSync(join(root, 'file'));
      remap();
      for (const name of ['file', 'sub/file', 'symlink', 'sub/symlink']) {
        const { uid, gid, nlink } = lstatSync(join(root, name));
        assert.deepEqual({ uid, gid, nlink }, { uid: 200_000, gid: 200_000, nlink: 2 }, name);
      }
      assert.equal(lstatSync(join(root, 'sub/file')).ino, ino);
      assert.equal(lstatSync(join(root, 'sub'), { bigint: true }).mtimeNs, before.mtimeNs);
      assert.equal(lstatSync(outside).uid, process.getuid?.());
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});
