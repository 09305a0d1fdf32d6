import assert from 'node:assert/strict';
import type { Mount } from '../../../../src/kernel/mounts.ts';
import { readCpu, readCpuDetails } from '../../../../src/pod/stats/cgroup/cpu.ts';
import { readHugepages } from '../../../../src/pod/stats/cgroup/hugepages.ts';
import { readDevices } from '../../../../src/pod/stats/cgroup/io.ts';
import { readMemory, readMemoryDetails, readOomKills } from '../../../../src/pod/stats/cgroup/memory.ts';
import { containerCgroupPath, podCgroupPath } from '../../../../src/pod/stats/cgroup/paths.ts';
import { readPressure } from '../../../../src/pod/stats/cgroup/pressure.ts';
import { readProcessDetails, readProcesses } from '../../../../src/pod/stats/cgroup/processes.ts';
import { type Cgroup, findCgroupTrees } from '../../../../src/pod/stats/cgroup/trees.ts';
import { readCgroup } from '../../../../src/pod/stats/reading.ts';
import { CgroupFixture } from './fixtures.ts';

const UNLIMITED_V1 = '9223372036854771712\n';

describe('a cgroup of v1', () => {
  let fixture: CgroupFixture;
  let cgroup: Cgroup;
  beforeEach(() => {
    fixture = new CgroupFixture(1);
    cgroup = { trees: fixture.trees, path: '/pod/c1' };
  });
  afterEach(() => fixture[Symbol.dispose]());

  it('has its CPU time in nanoseconds', () => {
    fixture.write({ 'cpuacct/pod/c1/cpuacct.usage': '18446744073709551615\n' });
    assert.deepEqual(readCpu(cgroup), { usageNanos: 18446744073709551615n });
  });

  it('has throttling and limits from the hierarchy of cpu and times from that of cpuacct', () => {
    fixture.write({
      'cpuacct/pod/c1/cpuacct.usage_user': 70,
      'cpuacct/pod/c1/cpuacct.usage_sys': 30,
      'cpu/pod/c1/cpu.stat': 'nr_periods 10\nnr_throttled 4\nthrottled_time 12345\n',
      'cpu/pod/c1/cpu.shares': 512,
      'cpu/pod/c1/cpu.cfs_period_us': 100_000,
      'cpu/pod/c1/cpu.cfs_quota_us': -1,
    });
    assert.deepEqual(readCpuDetails(cgroup), {
      userNanos: 70n,
      systemNanos: 30n,
      periods: 10n,
      throttledPeriods: 4n,
      throttledNanos: 12345n,
      shares: 512n,
      periodMicros: 100_000n,
      quotaMicros: undefined,
    });
  });

  it('counts the memory of those below it, and tells its own page faults apart', () => {
    fixture.write({
      'memory/pod/c1/memory.usage_in_bytes': 1000,
      'memory/pod/c1/memory.limit_in_bytes': 5000,
      'memory/pod/c1/memory.memsw.limit_in_bytes': 8000,
      'memory/pod/c1/memory.stat':
        'cache 1\nrss 2\npgfault 5\npgmajfault 1\ntotal_cache 400\ntotal_rss 300\ntotal_mapped_file 40\ntotal_swap 60\n' +
        'total_pgfault 50\ntotal_pgmajfault 10\ntotal_inactive_file 250\ntotal_active_file 150\n',
    });
    assert.deepEqual(readMemory(cgroup), {
      usage: 1000n,
      workingSet: 750n,
      limit: 5000n,
      rss: 300n,
      cache: 400n,
      mappedFile: 40n,
      activeFile: 150n,
      inactiveFile: 250n,
      pageFaults: 50n,
      majorPageFaults: 10n,
      ownPageFaults: 5n,
      ownMajorPageFaults: 1n,
      swap: { usage: 60n, limit: 3000n },
    });
  });

  it('has a working set of 0 rather than less, and no limit where the number means none', () => {
    fixture.write({
      'memory/pod/c1/memory.usage_in_bytes': 10,
      'memory/pod/c1/memory.limit_in_bytes': UNLIMITED_V1,
      'memory/pod/c1/memory.stat': 'total_inactive_file 11\n',
    });
    const memory = readMemory(cgroup);
    assert.equal(memory?.workingSet, 0n);
    assert.equal(memory.limit, undefined);
    assert.equal(memory.swap, undefined);
  });

  it('has kernel memory, peak, failures, OOM kills and limits', () => {
    fixture.write({
      'memory/pod/c1/memory.kmem.usage_in_bytes': 1,
      'memory/pod/c1/memory.max_usage_in_bytes': 2,
      'memory/pod/c1/memory.failcnt': 3,
      'memory/pod/c1/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 4\n',
      'memory/pod/c1/memory.soft_limit_in_bytes': 5,
      'memory/pod/c1/memory.memsw.limit_in_bytes': UNLIMITED_V1,
    });
    assert.deepEqual(readMemoryDetails(cgroup), {
      kernel: 1n,
      peak: 2n,
      failures: 3n,
      oomKills: 4n,
      reservation: 5n,
      swapLimit: undefined,
    });
    assert.equal(readOomKills(cgroup), 4n);
  });

  it('has I/O by device, without the totals and the doubly counted operations', () => {
    fixture.write({
      'blkio/pod/c1/blkio.throttle.io_service_bytes_recursive':
        '999:9 Read 4096\n999:9 Write 8192\n999:9 Sync 1\n999:9 Async 2\n999:9 Discard 512\n999:9 Total 12288\nTotal 12288\n',
      'blkio/pod/c1/blkio.throttle.io_serviced_recursive':
        '999:9 Read 1\n999:9 Write 2\n999:9 Total 3\nTotal 3\n',
    });
    assert.deepEqual(readDevices(cgroup), [
      {
        major: '999',
        minor: '9',
        device: '',
        readBytes: 4096n,
        writeBytes: 8192n,
        discardBytes: 512n,
        reads: 1n,
        writes: 2n,
      },
    ]);
  });

  it('has huge pages with their peak', () => {
    fixture.write({
      'hugetlb/pod/c1/hugetlb.2MB.usage_in_bytes': 2_097_152,
      'hugetlb/pod/c1/hugetlb.2MB.max_usage_in_bytes': 4_194_304,
    });
    assert.deepEqual(readHugepages(cgroup, ['2MB', '1GB']), [
      { pageSize: '2MB', usage: 2_097_152n, peak: 4_194_304n },
    ]);
  });

  it('has no pressure', () => {
    assert.equal(readPressure(cgroup), undefined);
  });

  it('counts the processes of the cgroups below it too', () => {
    fixture.write({
      'pids/pod/c1/cgroup.procs': '11\n12\n',
      'pids/pod/c1/a/cgroup.procs': '13\n',
      'pids/pod/c1/a/b/cgroup.procs': '14\n15\n',
      'pids/pod/c1/empty/cgroup.procs': '',
    });
    assert.deepEqual(readProcesses(cgroup), { processes: 5n });
  });

  it('reads threads, their limit, descriptors and limits of real processes', () => {
    fixture.write({
      'pids/pod/c1/cgroup.procs': `${process.pid}\n`,
      'pids/pod/c1/pids.current': 9,
      'pids/pod/c1/pids.max': 'max\n',
    });
    const details = readProcessDetails(cgroup);
    assert.equal(details?.threads, 9n);
    assert.equal(details.threadsMax, 0n);
    assert.ok(details.fileDescriptors >= 3n);
    assert.ok(details.sockets <= details.fileDescriptors);
    assert.ok(details.softLimits.some(({ name, value }) => name === 'max_open_files' && value > 0n));
  });

  it('is without all that it does not have when it has gone', () => {
    const { at, ...parts } = readCgroup(cgroup, ['cpu', 'memory', 'processes', 'devices', 'processDetails']);
    assert.ok(at > 1_700_000_000_000_000_000n);
    assert.deepEqual(Object.values(parts), [undefined, undefined, undefined, undefined, undefined]);
  });

  it('is never the root when its path is not known', () => {
    fixture.write({
      'cpuacct/cpuacct.usage': 1,
      'memory/memory.usage_in_bytes': 1,
      'memory/memory.stat': '',
    });
    fixture.write({ 'cpu/cpu.shares': 1024, 'pids/cgroup.procs': '1\n' });
    const { cpu, cpuDetails, memory, processes } = readCgroup({ trees: fixture.trees, path: '' }, [
      'cpu',
      'cpuDetails',
      'memory',
      'processes',
    ]);
    assert.deepEqual(
      [cpu, memory, processes, cpuDetails?.shares],
      [undefined, undefined, undefined, undefined],
    );
  });

  it('has gone when one of its files has', () => {
    fixture.write({ 'memory/pod/c1/memory.usage_in_bytes': 10 });
    assert.equal(readMemory(cgroup), undefined);
  });
});

describe('a cgroup of v2', () => {
  let fixture: CgroupFixture;
  let cgroup: Cgroup;
  beforeEach(() => {
    fixture = new CgroupFixture(2);
    cgroup = { trees: fixture.trees, path: '/kubepods.slice/c1.scope' };
  });
  afterEach(() => fixture[Symbol.dispose]());
  const write = (files: Record<string, string | number>): void =>
    fixture.write(
      Object.fromEntries(
        Object.entries(files).map(([name, text]) => [`kubepods.slice/c1.scope/${name}`, text]),
      ),
    );

  it('has CPU time in nanoseconds, made of microseconds', () => {
    write({ 'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n' });
    assert.deepEqual(readCpu(cgroup), { usageNanos: 1_500_000n });
  });

  it('has throttling, and shares made of its weight', () => {
    write({
      'cpu.stat':
        'usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 5\nnr_throttled 4\nthrottled_usec 7\n',
      'cpu.max': '50000 100000\n',
      'cpu.weight': 100,
    });
    assert.deepEqual(readCpuDetails(cgroup), {
      userNanos: 2_000n,
      systemNanos: 1_000n,
      periods: 5n,
      throttledPeriods: 4n,
      throttledNanos: 7_000n,
      shares: 2597n,
      periodMicros: 100_000n,
      quotaMicros: 50_000n,
    });
    write({ 'cpu.max': 'max 100000\n' });
    assert.equal(readCpuDetails(cgroup).quotaMicros, undefined);
  });

  it('has memory and swap', () => {
    write({
      'memory.current': 1000,
      'memory.max': 'max\n',
      'memory.swap.current': 20,
      'memory.swap.max': 100,
      'memory.stat':
        'anon 300\nfile 400\nkernel 30\nfile_mapped 40\ninactive_file 250\nactive_file 150\npgfault 50\npgmajfault 10\n',
    });
    assert.deepEqual(readMemory(cgroup), {
      usage: 1000n,
      workingSet: 750n,
      limit: undefined,
      rss: 300n,
      cache: 400n,
      mappedFile: 40n,
      activeFile: 150n,
      inactiveFile: 250n,
      pageFaults: 50n,
      majorPageFaults: 10n,
      ownPageFaults: 50n,
      ownMajorPageFaults: 10n,
      swap: { usage: 20n, limit: 100n },
    });
  });

  it('has the rest of memory, and leaves out what the kernel is too old for', () => {
    write({
      'memory.stat': 'kernel 30\n',
      'memory.events': 'low 0\nhigh 0\nmax 6\noom 3\noom_kill 2\n',
      'memory.low': 0,
      'memory.swap.max': 'max\n',
    });
    assert.deepEqual(readMemoryDetails(cgroup), {
      kernel: 30n,
      peak: undefined,
      failures: 6n,
      oomKills: 2n,
      reservation: 0n,
      swapLimit: undefined,
    });
    assert.equal(readOomKills(cgroup), 2n);
  });

  it('has I/O by device, and none without the controller', () => {
    write({ 'io.stat': '999:9 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=1\n999:10 \n' });
    const devices = readDevices(cgroup);
    assert.deepEqual(
      devices?.map(({ major, minor, readBytes, writes }) => [major, minor, readBytes, writes]),
      [['999', '9', 4096n, 2n]],
    );
    fixture.remove('kubepods.slice/c1.scope/io.stat');
    assert.equal(readDevices(cgroup), undefined);
  });

  it('has huge pages without a peak', () => {
    write({ 'hugetlb.1GB.current': 1_073_741_824 });
    assert.deepEqual(readHugepages(cgroup, ['1GB']), [
      { pageSize: '1GB', usage: 1_073_741_824n, peak: undefined },
    ]);
  });

  it('has pressure in nanoseconds, of those resources that have any', () => {
    write({
      'cpu.pressure': 'some avg10=1.50 avg60=0.25 avg300=0.00 total=17\n',
      'io.pressure':
        'some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=3.00 total=4\n',
    });
    assert.deepEqual(readPressure(cgroup), {
      cpu: { some: { totalNanos: 17_000n, avg10: 1.5, avg60: 0.25, avg300: 0 }, full: undefined },
      memory: undefined,
      io: {
        some: { totalNanos: 5_000n, avg10: 0, avg60: 0, avg300: 0 },
        full: { totalNanos: 4_000n, avg10: 0, avg60: 0, avg300: 3 },
      },
    });
  });
});

describe('the hierarchies of cgroups', () => {
  const mount = (target: string, type: string, ...superOptions: string[]): Mount => ({
    id: 1,
    parent: 0,
    root: '/',
    target,
    options: [],
    propagation: [],
    type,
    source: type,
    superOptions: ['rw', ...superOptions],
  });

  it('are one with v2', () => {
    const trees = findCgroupTrees('/cg', [mount('/cg', 'cgroup2')]);
    assert.deepEqual(trees.memory, { version: 2, root: '/cg' });
    assert.deepEqual(trees.pressure, { version: 2, root: '/cg' });
    assert.equal(Object.keys(trees).length, 7);
  });

  it('are several with v1, two controllers in one when they are mounted so', () => {
    const trees = findCgroupTrees('/cg', [
      mount('/cg/cpu,cpuacct', 'cgroup', 'cpu', 'cpuacct'),
      mount('/cg/memory', 'cgroup', 'memory'),
      mount('/cg/systemd', 'cgroup', 'name=systemd'),
    ]);
    assert.deepEqual(trees, {
      cpu: { version: 1, root: '/cg/cpu,cpuacct' },
      cpuacct: { version: 1, root: '/cg/cpu,cpuacct' },
      memory: { version: 1, root: '/cg/memory' },
    });
  });

  it('are of both kinds in a hybrid, v2 for what is switched on there', () => {
    using fixture = new CgroupFixture(2);
    fixture.write({ 'unified/cgroup.controllers': 'hugetlb io\n' });
    const unified = `${fixture.root}/unified`;
    const trees = findCgroupTrees(fixture.root, [
      mount(`${fixture.root}/memory`, 'cgroup', 'memory'),
      mount(unified, 'cgroup2'),
    ]);
    assert.deepEqual(trees, {
      cpuacct: { version: 2, root: unified },
      memory: { version: 1, root: `${fixture.root}/memory` },
      hugetlb: { version: 2, root: unified },
      blkio: { version: 2, root: unified },
      pressure: { version: 2, root: unified },
    });
  });

  it('are none where none is mounted', () => {
    assert.deepEqual(findCgroupTrees('/cg', []), {});
  });
});

describe('the path of a cgroup', () => {
  it('is a cgroupfs path as it stands, colons included', () => {
    assert.equal(containerCgroupPath('/kubepods/pod1/abc'), '/kubepods/pod1/abc');
    assert.equal(containerCgroupPath('/odd:name:x/abc'), '/odd:name:x/abc');
  });

  it('is a scope below the directory of a slice', () => {
    assert.equal(
      containerCgroupPath('kubepods-burstable-pod1.slice:berth:abc'),
      '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/berth-abc.scope',
    );
  });

  it('of a pod is its cgroup parent, for both drivers', () => {
    assert.equal(podCgroupPath('/kubepods/pod1'), '/kubepods/pod1');
    assert.equal(podCgroupPath('kubepods-pod1.slice'), '/kubepods.slice/kubepods-pod1.slice');
    assert.equal(podCgroupPath('/kubepods.slice/kubepods-pod1.slice'), '/kubepods.slice/kubepods-pod1.slice');
  });
});
