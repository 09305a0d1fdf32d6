import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Relabeller } from '../../../src/kernel/relabeller.ts';
import { relabelTree, selinuxLabel } from '../../../src/kernel/selinux.ts';

// Without SELinux the kernel keeps the attribute as any other of root's.
const LABEL = 'system_u:object_r:container_file_t:s0:c1,c2';

describe('SELinux labels', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-selinux-'));
    mkdirSync(join(directory, 'sub'));
    writeFileSync(join(directory, 'sub/file'), '');
    symlinkSync('/etc/hostname', join(directory, 'link'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are given to a tree, to symlinks themselves, and to nothing beyond', async () => {
    const relabeller = new Relabeller();
    const before = selinuxLabel('/etc/hostname');
    try {
      await relabeller.relabel(directory, LABEL);
    } finally {
      await relabeller.stop();
    }
    for (const name of ['', 'sub', 'sub/file', 'link'])
      assert.equal(selinuxLabel(join(directory, name)), LABEL, name);
    assert.equal(selinuxLabel('/etc/hostname'), before);
  });

  it('of a volume with many files do not keep those of others waiting', async () => {
    for (let i = 0; i < 20_000; i += 1) writeFileSync(join(directory, 'sub', String(i)), '');
    const relabeller = new Relabeller();
    try {
      // Its threads are there.
      const files = ['/proc/self/stat', '/proc/self/status'];
      await Promise.all(files.map((path) => relabeller.relabel(path, LABEL)));
      const ended: string[] = [];
      const paths = [join(directory, 'sub'), join(directory, 'link')];
      await Promise.all(
        paths.map(async (path) => {
          await relabeller.relabel(path, LABEL);
          ended.push(path);
        }),
      );
      assert.deepEqual(ended, paths.toReversed());
    } finally {
      await relabeller.stop();
    }
  });

  it('that cannot be given are an error with the path and the reason; file systems without labels are passed over', () => {
    execFileSync('mount', ['--bind', '-o', 'ro', directory, directory]);
    try {
      assert.throws(() => relabelTree(directory, LABEL), {
        name: 'BerthError',
        message: new RegExp(`failed to label "${directory}": .*read-only file system`),
      });
    } finally {
      execFileSync('umount', [directory]);
    }
    relabelTree('/proc/self/status', LABEL);
    relabelTree(join(directory, 'absent'), LABEL);
  });
});
