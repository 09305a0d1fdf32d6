import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  cgroupMode,
  containerCgroup,
  driverOfParent,
  sliceDirectory,
  unifiedLimitsSwap,
} from '../../../src/kernel/cgroups.ts';
import { parseMountinfo } from '../../../src/kernel/mounts.ts';

const line = (target: string, type: string): string =>
  `30 23 0:26 / ${target} rw,nosuid shared:4 - ${type} ${type} rw`;

describe('cgroups', () => {
  it('tells the hierarchy by what is mounted', () => {
    const mode = (...lines: string[]): unknown => cgroupMode(parseMountinfo(lines.join('\n')));
    assert.equal(mode(line('/sys/fs/cgroup', 'cgroup2')), 'v2');
    assert.equal(mode(line('/sys/fs/cgroup', 'tmpfs'), line('/sys/fs/cgroup/cpu', 'cgroup')), 'v1');
    assert.equal(
      mode(line('/sys/fs/cgroup/cpu', 'cgroup'), line('/sys/fs/cgroup/unified', 'cgroup2')),
      'hybrid',
    );
    assert.equal(mode(), undefined);
  });

  it('can limit swap in a v2 tree if a cgroup says so, or if the kernel counts it where there is no cgroup yet', () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-cgroups-'));
    const [tree, proc] = [join(directory, 'tree'), join(directory, 'proc')];
    const limits = (...files: [path: string, text: string][]): boolean => {
      rmSync(directory, { recursive: true });
      for (const [path, text] of [
        ['proc/self/cgroup', '0::/\n'],
        ['tree/cgroup.procs', ''],
        ...files,
      ] as const) {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), text);
      }
      return unifiedLimitsSwap({ tree, proc });
    };
    try {
      const max: [string, string] = ['tree/system.slice/memory.max', ''];
      assert.equal(limits(max, ['tree/system.slice/memory.swap.max', '']), true);
      assert.equal(limits(max, ['proc/swaps', '']), false);
      assert.equal(
        limits(['tree/a/cgroup.procs', ''], ['proc/swaps', ''], ['proc/cmdline', 'ro quiet']),
        true,
      );
      assert.equal(limits(['proc/swaps', ''], ['proc/cmdline', 'quiet swapaccount=0']), false);
      assert.equal(limits(['proc/cmdline', 'quiet']), false);
      const own: [string, string] = ['proc/self/cgroup', '0::/a/b\n'];
      assert.equal(limits(own, ['tree/a/b/memory.max', ''], ['tree/a/b/memory.swap.max', '']), true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('knows the driver by the parent', () => {
    assert.equal(driverOfParent('kubepods-besteffort-pod1.slice'), 'systemd');
    assert.equal(driverOfParent('/kubepods.slice/kubepods-pod1.slice'), 'systemd');
    assert.equal(driverOfParent('/kubepods/besteffort/pod1'), 'cgroupfs');
    assert.equal(driverOfParent(''), 'cgroupfs');
  });

  it('writes a path for systemd with colons, and joins one for cgroupfs', () => {
    assert.equal(
      containerCgroup('/kubepods.slice/kubepods-pod1.slice', 'abc'),
      'kubepods-pod1.slice:berth:abc',
    );
    assert.equal(containerCgroup('/kubepods/pod1/', 'abc'), '/kubepods/pod1/abc');
    assert.equal(containerCgroup('', 'abc'), '/abc');
  });

  it('refuses parents that lead outside or are no slices', () => {
    for (const bad of ['/kubepods/../..', 'a b.slice', '-a.slice', 'a--b.slice', '.slice']) {
      assert.throws(() => containerCgroup(bad, 'abc'), { code: 'INVALID_ARGUMENT' }, bad);
    }
  });

  it('expands a slice to its directories', () => {
    assert.equal(sliceDirectory('-.slice'), '/');
    assert.equal(sliceDirectory('a-b-c.slice'), '/a.slice/a-b.slice/a-b-c.slice');
  });
});
