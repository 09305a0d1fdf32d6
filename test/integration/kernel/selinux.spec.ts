import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { relabelTree, selinuxJobsModule, selinuxLabel } from '../../../src/kernel/selinux.ts';
import { ThreadPool } from '../../../src/kernel/threads/pool.ts';

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
    const pool = new ThreadPool({ name: 'labels', size: 1, modules: [selinuxJobsModule] });
    const before = selinuxLabel('/etc/hostname');
    try {
      await pool.call('selinux.relabel', { path: directory, label: LABEL });
    } finally {
      await pool.stop();
    }
    for (const name of ['', 'sub', 'sub/file', 'link'])
      assert.equal(selinuxLabel(join(directory, name)), LABEL, name);
    assert.equal(selinuxLabel('/etc/hostname'), before);
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
