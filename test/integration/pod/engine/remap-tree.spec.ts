import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileCapabilities, setFileCapabilities } from '../../../../src/kernel/file-capabilities.ts';
import { remapTree } from '../../../../src/pod/engine/remap-tree.ts';

const mapping = { containerID: 0, hostID: 200_000, size: 65_536 };

describe('the remapping of a tree', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-remap-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const remap = (): void => remapTree(root, { uids: [mapping], gids: [mapping] });

  it('gives programs their capabilities again, for the root of the namespace, and setuid bits', () => {
    const [program, plain] = [join(root, 'program'), join(root, 'plain')];
    for (const path of [program, plain]) writeFileSync(path, '');
    chmodSync(program, 0o4755);
    setFileCapabilities(program, Buffer.from('0100000200040000000000000000000000000000', 'hex'));
    remap();
    const expected = '0100000300040000000000000000000000000000400d0300';
    assert.equal(fileCapabilities(program)?.toString('hex'), expected);
    assert.equal(lstatSync(program).mode & 0o7777, 0o4755);
    assert.equal(fileCapabilities(plain), undefined);
  });

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
